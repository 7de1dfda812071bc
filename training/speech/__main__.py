"""``make train STAGE=speech``: the whole road, each step resumable: takes, networks, export, figures, card."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

STEPS = (
    "lexicon",
    "synth",
    "synth --manners",
    "mels",
    "vocoder",
    "sketches",
    "head",
    "tune",
    "letters",
    "export",
    "evaluate",
    "flow",
    "card",
)


def main(argv: list[str] | None = None) -> int:
    """Run the steps in order; the first that fails ends it with its exit status."""
    parser = argparse.ArgumentParser(prog="make train STAGE=speech", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="prove the road with small networks, in about a minute")
    arguments = parser.parse_args(argv)
    if arguments.tiny:
        from training.speech.tiny import tiny_run

        tiny_run(Path("build/tiny-speech"))
        return 0
    for step in STEPS:
        print(f"== training.speech.{step}", flush=True)
        name, *options = step.split()
        status = subprocess.run([sys.executable, "-m", f"training.speech.{name}", *options], check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
