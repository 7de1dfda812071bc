"""Settings of the encoder service."""

from __future__ import annotations

from pydantic import Field

from shared.settings import ServiceSettings


class EncoderSettings(ServiceSettings):
    """``MODEL_DIR`` holds the weights that its embeddings come from."""

    encoder_threads: int = Field(default=1, ge=1, le=64)
    """Threads for the embeddings' arithmetic; the codes are numpy and use one."""
    standby: bool = False
    """Be a spare: ready, without partitions of its own until another encoder fails or hands over."""
