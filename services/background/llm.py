"""A client of any OpenAI-compatible chat endpoint: streaming, cancellable, two kinds of failure told apart."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import httpx
import msgspec

from services.background.prompt import Message

_TRANSIENT = frozenset({408, 409, 425, 429})


class LlmUnavailable(Exception):
    """The endpoint cannot be reached, is overloaded, or broke off; trying again may help."""


class LlmRejected(Exception):
    """The endpoint refuses the request: wrong key, model or parameters; trying again does not help."""


class ChatEndpoint:
    """``url`` is the API's base, e.g. ``http://127.0.0.1:8000/v1``. Closing a stream early cancels its generation."""

    def __init__(self, url: str, *, model: str = "", key: str = "", timeout_s: float = 20.0) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(timeout_s, connect=min(5.0, timeout_s))
        self._client = httpx.AsyncClient(base_url=url + "/", headers=headers, timeout=timeout)
        self._model = model

    async def model(self) -> str:
        """The configured model's name, else the first that the endpoint lists.

        Raises:
            LlmUnavailable, LlmRejected: see there.
        """
        if not self._model:
            try:
                response = await self._client.get("models")
            except httpx.HTTPError as error:
                raise LlmUnavailable(f"{type(error).__name__}: {error}") from error
            _check(response.status_code, response.text)
            try:
                self._model = str(response.json()["data"][0]["id"])
            except (ValueError, LookupError, TypeError) as error:
                raise LlmRejected("the endpoint lists no model: set BACKGROUND_LLM_MODEL") from error
        return self._model

    async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[str, None]:
        """Deltas of the answer's text as they come.

        Raises:
            LlmUnavailable: also in mid-stream.
            LlmRejected: see there.
        """
        body = {
            "model": await self.model(),
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            "max_tokens": max_tokens,
            "temperature": 0.0,
            "stream": True,
        }
        try:
            async with self._client.stream("POST", "chat/completions", json=body) as response:
                if response.status_code != 200:
                    _check(response.status_code, (await response.aread()).decode(errors="replace"))
                async with aclosing(_events(response)) as events:
                    async for event in events:
                        delta = _delta(event)
                        if delta:
                            yield delta
        except httpx.HTTPError as error:
            raise LlmUnavailable(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        await self._client.aclose()


async def _events(response: httpx.Response) -> AsyncGenerator[Any, None]:
    """The JSON objects of a server-sent event stream. Raises ``LlmUnavailable`` when it ends without ``[DONE]``."""
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            return
        try:
            yield msgspec.json.decode(data)
        except msgspec.DecodeError as error:
            raise LlmUnavailable(f"the endpoint sent no JSON: {data[:100]!r}") from error
    raise LlmUnavailable("the endpoint's answer broke off")


def _delta(event: Any) -> str:
    if not isinstance(event, dict):
        raise LlmUnavailable(f"the endpoint sent an event of type {type(event).__name__}")
    if "error" in event:
        raise LlmUnavailable(f"the endpoint reports: {str(event['error'])[:200]}")
    choices = event.get("choices")
    if not choices:  # usage, timings
        return ""
    return str(choices[0].get("delta", {}).get("content") or "")


def _check(status: int, text: str) -> None:
    if status == 200:
        return
    message = f"HTTP {status}: {' '.join(text.split())[:200]}"
    if status >= 500 or status in _TRANSIENT:
        raise LlmUnavailable(message)
    raise LlmRejected(message)
