"""Turns for the monitor's tests."""

from __future__ import annotations

from schemas.records import Floor, InteractionTurn, UserActivity


def turn(
    timestamp_ms: int, *, session_id: str = "s", epoch: int = 1, floor: Floor = Floor.HOLD, gap_ms: int = 0
) -> InteractionTurn:
    return InteractionTurn(
        session_id=session_id,
        timestamp_ms=timestamp_ms,
        tick=timestamp_ms // 200 % 1000,
        floor=floor,
        user=UserActivity.SILENT,
        model="echo",
        epoch=epoch,
        input_offset=0,
        gap_ms=gap_ms,
    )
