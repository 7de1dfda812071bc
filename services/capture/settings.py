"""Settings of capture."""

from __future__ import annotations

import ipaddress
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from shared.settings import ServiceSettings


class CaptureSettings(ServiceSettings):
    """The socket, who may come in, and how long a client may be gone."""

    capture_host: str = "127.0.0.1"
    capture_port: int = Field(default=8080, ge=0, le=65535)
    capture_max_sessions: int = Field(default=512, ge=1)
    capture_share: int = Field(default=16, ge=1)
    """How many partitions this process takes; all of them when there are no more than that."""
    capture_tokens: SecretStr = SecretStr("")
    """Static bearer tokens, separated by commas."""
    capture_token_secret: SecretStr = SecretStr("")
    """Key of signed, expiring tokens (``python -m services.capture.auth``)."""
    capture_origins: str = ""
    """Origins of web pages, besides the server's own, that may open a stream; separated by commas."""
    capture_resume_grace_s: float = Field(default=10.0, ge=0, le=12)
    capture_hello_timeout_s: float = Field(default=5.0, gt=0, le=60)
    capture_hold_interval_s: float = Field(default=10.0, gt=0, le=60)
    """How often the log is told that a session is held. One that nobody holds for three times as long is ended."""
    capture_drain_timeout_s: float = Field(default=10.0, ge=0, le=60)
    """How long the turns of a session's last frames are waited for: longer than a worker's fail-over takes."""
    capture_stop: Literal["end", "hand_over"] = "end"
    """What becomes of the sessions when the process is told to stop: they end, or are left for another process."""
    capture_stop_timeout_s: float = Field(default=1.0, ge=0, le=60)
    """How long a process that stops waits for the last turns; who would answer is often stopping as well."""
    turn_budget_ms: int = Field(default=200, ge=1)
    """A turn that comes later than this after its frame's end is a missed deadline."""

    @model_validator(mode="after")
    def _closed_unless_local(self) -> Self:
        open_door = not (self.capture_tokens.get_secret_value() or self.capture_token_secret.get_secret_value())
        if open_door and not is_loopback(self.capture_host):
            raise ValueError(
                f"CAPTURE_HOST={self.capture_host} is reachable from outside: "
                "set CAPTURE_TOKENS or CAPTURE_TOKEN_SECRET"
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
