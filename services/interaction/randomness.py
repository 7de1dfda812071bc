"""The one source of chance in this service: numbers that follow from the session's seed and the tick alone.

Counter-based (Philox 4x64-10): a tick's numbers are computed from the pair, not drawn from a stream that some earlier
draw has moved. So a worker that restores a session in its middle, or steps it among other neighbours, throws the same
dice, and prefilling throws none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_MASK = (1 << 64) - 1
_TO_UNIT = 2.0**-53


def uniforms(seed: int, tick: int, count: int, *, stream: int = 0) -> npt.NDArray[np.float64]:
    """``count`` numbers in [0, 1), float64, for one tick of one session.

    ``stream`` tells purposes apart, so that a model may ask for more of one without changing another. The raw generator
    is used rather than numpy's distributions, whose algorithms may change with its version.
    """
    key = np.array([seed & _MASK, stream], np.uint64)
    bits = np.random.Philox(key=key, counter=np.array([0, tick, 0, 0], np.uint64))
    return (bits.random_raw(count) >> np.uint64(11)).astype(np.float64) * _TO_UNIT


def choose(logits: npt.NDArray[np.float32], temperature: float, uniform: float) -> int:
    """Index of one class: the most likely at temperature 0, else by ``uniform`` from the softmax at that temperature.

    ``logits`` ``[classes]`` is one session's row; it is worked on alone, in float64, so that neighbours change no bit.

    Raises:
        ValueError: a negative temperature.
    """
    if temperature < 0:
        raise ValueError(f"temperature {temperature} is negative")
    if temperature == 0:
        return int(np.argmax(logits))
    scaled = logits.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max())
    edges = np.cumsum(weights)
    return min(int(np.searchsorted(edges, uniform * edges[-1], side="right")), len(logits) - 1)
