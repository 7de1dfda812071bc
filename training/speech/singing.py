"""Features to sound at once, as the service makes it tick by tick."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from services.interaction.speech.config import DELAY_FRAMES, HOP, TICK_FRAMES
from services.interaction.speech.vocoder import Vocoder

Floats = npt.NDArray[np.float32]


@torch.inference_mode()
def sung(vocoder: Vocoder, features: Floats) -> Floats:
    """``[frames, FEATURES]`` as the vocoder sings them, ``[frames * HOP]``."""
    known = torch.from_numpy(features)[None]
    frames = len(features) + DELAY_FRAMES
    padded = F.pad(known, (0, 0, 0, -frames % TICK_FRAMES + DELAY_FRAMES), mode="replicate")
    sound, _ = vocoder.advance(padded, vocoder.empty(1))
    made: Floats = sound[0, DELAY_FRAMES * HOP : frames * HOP].numpy()
    return made
