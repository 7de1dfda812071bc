"""The cascade's words: a short history, a prompt for speaking, answers sentence by sentence."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from services.background.llm import ChatEndpoint
from services.background.prompt import Message
from services.background.speech import Spoken, spoken_sentences

SYSTEM = "You are a friendly voice assistant on a call. You can hear the user. Reply with one short spoken sentence."
EXAMPLES = (
    Message("user", "hi"),
    Message("assistant", "Hi, good to hear from you."),
    Message("user", "are you there"),
    Message("assistant", "Yes, I am here and I can hear you well."),
    Message("user", "count to four for me"),
    Message("assistant", "One, two, three, four."),
    Message("user", "who are you"),
    Message("assistant", "I am a voice assistant, and I am happy to help."),
    Message("user", "now count to two"),
    Message("assistant", "One, two."),
    Message("user", "thank you"),
    Message("assistant", "You are very welcome."),
)
"""Shown before every conversation: a small model follows examples better than rules."""
HISTORY = 8
MAX_WORDS = 40
MAX_SENTENCES = 2
MAX_TOKENS = 90


@dataclass(slots=True)
class History:
    """The last messages; neighbours of one role are joined, as chat templates want it."""

    messages: list[Message] = field(default_factory=list)

    def add(self, role: str, text: str) -> None:
        text = " ".join(text.split())
        if not text:
            return
        if self.messages and self.messages[-1].role == role:
            self.messages[-1] = Message(role, f"{self.messages[-1].content} {text}")
        else:
            self.messages.append(Message(role, text))
        del self.messages[:-HISTORY]

    def prompt_with(self, question: str) -> list[Message]:
        """The messages for a language model that is to answer ``question``."""
        asked = History([*self.messages])
        asked.add("user", question)
        kept = asked.messages
        if kept[0].role == "assistant":
            kept = kept[1:]
        return [Message("system", SYSTEM), *EXAMPLES, *kept]


def sentences(llm: ChatEndpoint, prompt: list[Message]) -> AsyncGenerator[str, None]:
    """The answer, a sentence as soon as it is whole. Raises ``LlmUnavailable`` or ``LlmRejected`` on the way."""
    return spoken_sentences(llm.stream(prompt, max_tokens=MAX_TOKENS), Spoken(MAX_WORDS, MAX_SENTENCES))
