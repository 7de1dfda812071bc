"""``python -m infra.bench overhead``: run a suite, write ``build/reports/<suite>.json`` and ``.md``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from infra.bench import nano, overhead, speech


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench SUITE=…", description=__doc__)
    suites = parser.add_subparsers(dest="suite", required=True)
    overhead.add_arguments(suites.add_parser("overhead", help=overhead.__doc__))
    nano.add_arguments(suites.add_parser("nano", help=nano.__doc__))
    speech.add_arguments(suites.add_parser("speech", help=speech.__doc__))
    arguments = parser.parse_args()
    runs: dict[str, Callable[[argparse.Namespace], int]] = {
        "nano": nano.run,
        "overhead": overhead.run,
        "speech": speech.run,
    }
    return runs[arguments.suite](arguments)


if __name__ == "__main__":
    sys.exit(main())
