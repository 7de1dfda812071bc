"""What the monitor can be told."""

from __future__ import annotations

from pydantic import Field

from shared.settings import ServiceSettings


class MonitorSettings(ServiceSettings):
    """Each field is set by the environment variable of its name in capitals."""

    turn_budget_ms: int = Field(default=200, ge=1)
    """A turn that comes later than this after its frame's end is a missed deadline."""
    monitor_grace_ms: int = Field(default=2_000, ge=0, le=30_000)
    """How long a second waits for its stragglers before its summary is written."""
    monitor_max_age_ms: int = Field(default=60_000, ge=1_000)
    """Turns older than this are counted and left out; a monitor that is further behind skips ahead."""
    monitor_group: str = "monitor"
