"""``python -m infra.bench overhead``: run a suite, write ``build/reports/<suite>.json`` and ``.md``."""

from __future__ import annotations

import argparse
import sys

from infra.bench import overhead


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench SUITE=…", description=__doc__)
    suites = parser.add_subparsers(dest="suite", required=True)
    overhead.add_arguments(suites.add_parser("overhead", help=overhead.__doc__))
    arguments = parser.parse_args()
    return overhead.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
