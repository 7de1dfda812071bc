"""``python -m infra.eval.agents [NAME]``: NAME, else ``EVAL_AGENT``, answers in place of encoder and interaction."""

import os
import sys

from infra.eval.agents import AGENTS
from infra.eval.agents.app import run
from infra.eval.agents.settings import AgentSettings
from shared.service import main

if __name__ == "__main__":
    if len(sys.argv) > 1:
        os.environ["EVAL_AGENT"] = sys.argv[1]
    if os.environ.get("EVAL_AGENT") not in AGENTS:
        print(f"setting EVAL_AGENT: there are {', '.join(AGENTS)}", file=sys.stderr)
        sys.exit(2)
    main("agent", AgentSettings, run)
