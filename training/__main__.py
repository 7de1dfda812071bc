"""``make train``: the whole road, each step resumable: corpus, hearing, training, lexicon, export, evaluation, card."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from training.checkpoint import BEFORE, LAST

TRAINED, HEARING = Path("build/train"), Path("build/hear")
HEAR = ["train", "--hearing", "--folder", str(HEARING), "--steps", "1800", "--rate", "2e-3", "--warmup", "60"]
OPEN_SENTENCES = ["--flite", "9000", "--own", "2500"]  # by each voice: fifteen hours, and as many


def main() -> int:
    """Run the steps in order; the first that fails ends it with its exit status."""
    parser = argparse.ArgumentParser(prog="make train", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="prove the road with a toy model, in about a minute")
    parser.add_argument("--from-scratch", action="store_true", help="begin anew instead of resuming build/train")
    arguments = parser.parse_args()
    begun = any((TRAINED / name).exists() for name in (LAST, BEFORE)) and not arguments.from_scratch
    hearing = (HEARING / LAST).exists() and not arguments.from_scratch
    hear = [*HEAR, "--resume"] if hearing else HEAR
    train = ["train", "--resume"] if begun else ["train", "--finetune", str(HEARING / LAST), "--ears", "0.1"]
    steps = [["train", "--tiny", "--folder", "build/tiny"]]
    if not arguments.tiny:
        opened = ["opened", *OPEN_SENTENCES]
        steps = [["synth"], opened, *([] if begun else [hear]), train]
        steps += [["dictionary"], ["export"], ["evaluate"], ["card"]]
    for step, *options in steps:
        print(f"== training.{step} {' '.join(options)}", flush=True)
        status = subprocess.run([sys.executable, "-m", f"training.{step}", *options], check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
