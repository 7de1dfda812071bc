"""What the background service can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from shared.settings import ServiceSettings


class BackgroundSettings(ServiceSettings):
    """Each field is set by the environment variable of its name in capitals."""

    background_llm_url: str = ""
    """Base of an OpenAI-compatible API, e.g. ``http://vllm:8000/v1``; empty runs the small model that is built in."""
    background_llm_model: str = ""
    """Model name to ask for; empty takes the first that the endpoint lists."""
    background_llm_key: SecretStr = SecretStr("")
    background_llm_timeout_s: float = Field(default=20.0, gt=0)
    """Longest silence of the endpoint: until its first token, and between two."""
    background_llm_threads: int = Field(default=1, ge=1, le=64)
    """CPU threads of the built-in model."""
    background_concurrency: int = Field(default=2, ge=1, le=64)
    """Tasks that this worker works on at once."""
    background_queue: int = Field(default=32, ge=0, le=1000)
    """Tasks that may wait for their turn; one more is refused with an error result."""
    background_hearing: Literal["auto", "off"] = "auto"
    """``auto`` transcribes the delegated words where the ``transcribe`` extra is installed."""
    background_max_words: int = Field(default=60, ge=5, le=500)
    background_max_sentences: int = Field(default=2, ge=1, le=20)

    @field_validator("background_llm_url")
    @classmethod
    def _http(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return url.rstrip("/")
