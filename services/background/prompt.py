"""From a context package to the messages for a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.records import ContextEntry, ContextPackage

HISTORY_ENTRIES = 12
ENTRY_CHARS = 400
_SYSTEM = (
    "You are a voice assistant. Answer the user's last question aloud: one or two short sentences, plain words, "
    "no lists, no markdown. If you do not know, say so."
)
_LANGUAGES = {"de": "German", "en": "English", "es": "Spanish", "fr": "French", "it": "Italian"}


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat: ``role`` is system, user or assistant."""

    role: str
    content: str


def question_in(context: ContextPackage) -> ContextEntry | None:
    """What the user said or typed last, as far as the interaction model knows it."""
    users = [entry for entry in context.entries if entry.role.startswith("user_") and entry.text.strip()]
    return users[-1] if users else None


def was_typed(context: ContextPackage) -> bool:
    """Whether the delegated question came by keyboard, inside the span or after it: then nothing need be heard."""
    last = question_in(context)
    return last is not None and last.role == "user_typed" and last.timestamp_ms >= context.span_start_ms


def messages(context: ContextPackage, question: str) -> list[Message]:
    """The conversation before the span, then ``question``: roles alternate, as chat templates want it."""
    system = _SYSTEM
    if context.language != "en":
        system += f" Answer in {_LANGUAGES.get(context.language, context.language)}."
    if context.instructions:
        system += " " + context.instructions.strip()
    out = [Message("system", system)]
    for role, text in _turns(context.entries, before_ms=context.span_start_ms, question=question):
        if out[-1].role == role:
            out[-1] = Message(role, f"{out[-1].content} {text}")
        elif role == "user" or out[-1].role == "user":  # an assistant's message only after a user's
            out.append(Message(role, text))
    if out[-1].role == "user":
        out.append(Message("assistant", "Yes?"))
    return [*out, Message("user", question)]


def _turns(entries: Sequence[ContextEntry], *, before_ms: int, question: str) -> list[tuple[str, str]]:
    kept = [e for e in entries if e.text.strip() and (e.timestamp_ms < before_ms and e.text.strip() != question)]
    return [
        ("user" if e.role.startswith("user_") else "assistant", " ".join(e.text.split())[-ENTRY_CHARS:])
        for e in kept[-HISTORY_ENTRIES:]
    ]
