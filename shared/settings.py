"""Settings: typed, read once from the environment in a service's ``__main__``, wrong ones refused by name.

A service adds its own fields by subclassing ``ServiceSettings`` in ``services/<name>/settings.py``. A field
``kafka_bootstrap_servers`` is set by ``KAFKA_BOOTSTRAP_SERVERS``.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """What every service needs to know."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    redis_url: str = "redis://127.0.0.1:6379/0"
    topic_partitions: int = Field(default=8, ge=1, le=1024)
    instance_id: str = Field(default_factory=socket.gethostname, min_length=1, max_length=128)
    """Names this process among those of its service: Kafka static member, worker lease, log lines."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=0, ge=0, le=65535)
    """Serves /metrics, /health/live and /health/ready; 0 turns the endpoint off."""
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    model_dir: Path = Path("models/nano")
    group_session_timeout_ms: int = Field(default=6000, ge=1000)
    """How long Kafka waits for a dead member before its partitions move."""


S = TypeVar("S", bound=ServiceSettings)


class InvalidSettings(SystemExit):
    """Ends the process with one line per wrong setting; exit status 2."""


def load(kind: type[S]) -> S:
    """Read the settings of a service from the environment.

    Raises:
        InvalidSettings: naming every variable that is missing or wrong.
    """
    try:
        return kind()
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper() or "SETTINGS"
            print(f"setting {name}: {problem['msg']}", file=sys.stderr)
        raise InvalidSettings(2) from None
