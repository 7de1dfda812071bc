"""Looks at a JPEG's header without decoding it: is it one, complete, and of a sane size?"""

from __future__ import annotations

MAX_SIDE_PX = 4096
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SERVED_MARKERS = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})


class BadJpeg(ValueError):
    """Not a JPEG that the encoder can take; the message says why."""


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the start-of-frame segment.

    Raises:
        BadJpeg: no JPEG, truncated, a kind that nobody serves (lossless, arithmetic), or larger than 4096 a side.
    """
    if data[:2] != b"\xff\xd8":
        raise BadJpeg("the picture is not a JPEG (no start-of-image marker)")
    if data[-2:] != b"\xff\xd9":
        raise BadJpeg("the JPEG is truncated (no end-of-image marker)")
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise BadJpeg("the JPEG's header is broken (a marker was expected)")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _BARE_MARKERS:
            at += 2
        elif marker in _FRAME_MARKERS:
            return _frame_size(data, at, marker)
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise BadJpeg("the JPEG has no start-of-frame segment")


def _frame_size(data: bytes, at: int, marker: int) -> tuple[int, int]:
    if marker not in _SERVED_MARKERS:
        raise BadJpeg(f"the JPEG's coding (marker 0x{marker:02x}) is not served: send baseline or progressive")
    if at + 9 > len(data):
        raise BadJpeg("the JPEG is truncated (in its start-of-frame segment)")
    height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise BadJpeg(f"the JPEG is {width}x{height} pixels, 1 to {MAX_SIDE_PX} a side are served")
    return width, height
