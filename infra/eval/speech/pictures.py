"""One sentence by every voice, as a client heard it: spectrograms side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from infra.eval.speech.lines import Spoken
from schemas.ticks import OUTPUT_RATE_HZ


def spectrograms(shown: Mapping[str, Spoken], path: Path) -> str:
    """A panel a voice; returns the picture's address from beside its folder."""
    figure = Figure(figsize=(4.2 * len(shown), 3.2), dpi=80, layout="constrained")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for place, (voice, spoken) in zip(panels, shown.items(), strict=True):
        audio = spoken.pcm.astype(np.float64) / 32768
        with np.errstate(divide="ignore"):  # of the silence around it
            place.specgram(audio, NFFT=1024, noverlap=768, Fs=OUTPUT_RATE_HZ, vmin=-140, vmax=-40, cmap="magma")
        place.set_facecolor("black")
        place.set(title=voice, ylim=(0, OUTPUT_RATE_HZ / 2), xlabel="s")
    panels[0].set_ylabel("Hz")
    figure.suptitle(next(iter(shown.values())).text)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path.relative_to(path.parent.parent).as_posix()
