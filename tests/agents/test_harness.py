"""The cascade's rules, with stages that know their answers at once; the real stages are in ``test_harness_stages``."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence

import numpy as np

from infra.eval.agents.harness.answer import FILLER, SORRY
from infra.eval.agents.harness.chat import EXAMPLES, SYSTEM, History
from infra.eval.agents.harness.route import wants_look_up
from infra.eval.agents.harness.session import HarnessSession
from infra.eval.agents.harness.turn import Channel
from infra.eval.agents.harness.vad import START_WINDOWS, STOP_WINDOWS, WINDOW_MS, Segmenter
from infra.eval.agents.protocol import Reply
from infra.eval.agents.speech import Speech
from schemas.records import Floor, UserActivity
from schemas.ticks import FRAME_MS
from services.background.prompt import Message
from tests.agents.sound import frame, scene
from training.phrases import TRAINING
from training.skills.requests import requests


class Energy:
    """Stands for the voice network: loud is voice."""

    def probability(self, window: np.ndarray, state: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.sqrt(np.mean(window**2)) > 0.01), state


class Model:
    """Stands for a language model: answers from a list, remembers what it was asked."""

    def __init__(self, answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.prompts: list[list[Message]] = []

    async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[str, None]:
        self.prompts.append(list(messages))
        yield self.answers.pop(0)


class Known:
    """Stages whose answers are known: the words of each turn, and whether each pause ends it."""

    def __init__(
        self, heard: Sequence[str], over: Sequence[bool] = (), answers: Sequence[str] = (), facts: Sequence[str] = ()
    ) -> None:
        self.voice = Energy()
        self.heard, self.over = list(heard), list(over)
        self.lengths_ms: list[int] = []
        self.chat = Model(answers)
        self.look_up = Model(facts) if facts else None

    async def complete(self, pcm: bytes) -> bool:
        self.lengths_ms.append(len(pcm) // 32)
        return self.over.pop(0) if self.over else True

    async def transcribe(self, pcm: bytes) -> str:
        return self.heard.pop(0)

    async def speak(self, text: str) -> Speech:
        """Two words a second."""
        words = text.split()
        tone = (3000 * np.sin(np.arange(len(words) * 12_000) / 20)).astype(np.int16)
        return Speech(text, tone, tuple(i * 12_000 for i in range(len(words))))


async def play(stages: Known, frames: list[bytes]) -> list[Reply]:
    """Slow stages take less than a tick: what they were asked in one tick is there in the next."""
    session = HarnessSession("s", stages)
    replies = []
    for tick, audio in enumerate(frames):
        replies.append(session.step(frame(tick, audio)))
        for _ in range(50):
            await asyncio.sleep(0)
    session.close()
    return replies


def said(replies: list[Reply]) -> str:
    return "".join(reply.text for reply in replies).strip()


def talking(replies: list[Reply]) -> list[int]:
    return [tick for tick, reply in enumerate(replies) if reply.audio]


def heard_ms(tick: int) -> int:
    return (tick + 1) * FRAME_MS


async def test_a_turn_is_answered_as_soon_as_the_stages_have_spoken() -> None:
    stages = Known(["hello there"], answers=["Hello, how are you today?"])
    replies = await play(stages, scene(8_000, (1_000, 2_000)))
    assert said(replies) == "Hello, how are you today?"
    (over,) = [tick for tick, reply in enumerate(replies) if reply.user is UserActivity.ENDED]
    assert replies[over].user_text == "hello there"
    # 0.2 s of quiet, at most a tick until it is noticed, one for the examination, one for the words
    assert 2_200 <= heard_ms(over) <= 2_800
    assert talking(replies) == list(range(over + 1, over + 1 + 13))
    assert {replies[tick].floor for tick in talking(replies)} == {Floor.TAKE}
    assert stages.chat.prompts == [[Message("system", SYSTEM), *EXAMPLES, Message("user", "hello there")]]


async def test_a_pause_that_ends_no_turn_is_waited_out_and_the_turn_heard_whole() -> None:
    stages = Known(["so what I", "so what I want"], over=[False, True], answers=["Okay."])
    replies = await play(stages, scene(8_000, (1_000, 2_000), (3_200, 4_000)))
    assert talking(replies)[0] * FRAME_MS > 4_000
    assert [r.user_text for r in replies if r.user_text] == ["so what I want"]
    assert stages.lengths_ms[1] - stages.lengths_ms[0] in range(1_900, 2_100)


async def test_a_turn_that_never_seems_complete_is_answered_after_a_second_and_a_half() -> None:
    replies = await play(Known(["well I"], over=[False], answers=["Yes?"]), scene(8_000, (1_000, 2_000)))
    assert 3_500 <= heard_ms(talking(replies)[0]) <= 4_100


async def test_half_a_second_of_speech_interrupts_and_only_what_was_said_is_remembered() -> None:
    stages = Known(["count please", "stop"], answers=["One two three four five six seven eight.", "All right."])
    replies = await play(stages, scene(12_000, (1_000, 2_000), (4_000, 5_000)))
    (stopped,) = [tick for tick, reply in enumerate(replies) if reply.floor is Floor.YIELD]
    assert 4_500 <= heard_ms(stopped) <= 4_900
    assert said(replies[stopped:]) == "All right."
    before = said(replies[:stopped])
    assert before.startswith("One two three") and not before.endswith("eight.")
    assert stages.chat.prompts[1][-3:] == [
        Message("user", "count please"),
        Message("assistant", before),
        Message("user", "stop"),
    ]


async def test_a_short_sign_of_listening_stops_nothing_and_is_not_answered() -> None:
    stages = Known(["count please"], answers=["One two three four five six seven eight."])
    replies = await play(stages, scene(12_000, (1_000, 2_000), (4_000, 4_350)))
    assert said(replies) == "One two three four five six seven eight."
    assert Floor.YIELD not in {reply.floor for reply in replies}


async def test_a_question_is_looked_up_behind_a_filler_and_its_result_reported() -> None:
    stages = Known(["which ocean is the biggest"], facts=["The Pacific is the biggest."])
    replies = await play(stages, scene(10_000, (1_000, 2_000)))
    assert said(replies) == f"{FILLER} The Pacific is the biggest."
    events = [(event.name, event.task_id) for reply in replies for event in reply.events]
    task_id = events[0][1]
    assert events == [(name, task_id) for name in ("delegated", "weave_started", "weave_finished")]
    (result,) = [result for reply in replies for result in reply.results]
    assert (result.task_id, result.kind, result.text) == (task_id, "final", "The Pacific is the biggest.")
    assert stages.chat.prompts == []


async def test_a_new_question_drops_the_result_of_the_old_one() -> None:
    stages = Known(
        ["which ocean is the biggest", "thanks"], answers=["You are welcome."], facts=["It is " + "very " * 30 + "big."]
    )
    replies = await play(stages, scene(16_000, (1_000, 2_000), (6_000, 7_000)))
    names = [event.name for reply in replies for event in reply.events]
    assert names == ["delegated", "weave_started", "weave_dropped"]
    assert said(replies).endswith("You are welcome.")


async def test_who_goes_on_before_a_word_was_said_is_answered_once() -> None:
    stages = Known(["tell me", "a story"], answers=["never said", "Once there was a goat."])
    slow = asyncio.Event()

    async def speak(text: str) -> Speech:
        if text == "never said.":
            await slow.wait()
        return await Known.speak(stages, text)

    stages.speak = speak
    replies = await play(stages, scene(10_000, (1_000, 2_000), (3_000, 4_000)))
    assert said(replies) == "Once there was a goat."
    assert [reply.user_text for reply in replies if reply.user_text] == ["tell me", "tell me a story"]


async def test_a_model_without_words_is_apologised_for() -> None:
    assert said(await play(Known(["hello"], answers=[""]), scene(8_000, (1_000, 2_000)))) == SORRY


async def test_noise_without_words_is_not_answered() -> None:
    stages = Known([""])
    assert talking(await play(stages, scene(6_000, (1_000, 2_000)))) == []
    assert stages.chat.prompts == []


def test_speech_begins_and_ends_after_a_fifth_of_a_second() -> None:
    segments = Segmenter()
    flags = [0.0] * 10 + [0.9] * 5 + [0.1] + [0.9] * 20 + [0.2] * 5 + [0.8] * 3 + [0.0] * 20
    changes = [n for n, p in enumerate(flags, 1) if segments.push(p)]
    assert changes == [16 + START_WINDOWS, 44 + STOP_WINDOWS]
    assert (segments.began, segments.ended) == (16, 44)
    assert segments.voiced_ms == 28 * WINDOW_MS
    assert segments.quiet_ms == 20 * WINDOW_MS


def test_the_channel_keeps_half_a_minute_by_sample_numbers() -> None:
    channel = Channel()
    for second in range(40):
        channel.append(np.full(16_000, second, "<i2").tobytes())
    kept = np.frombuffer(channel.cut(35 * 16_000 - 2, 35 * 16_000 + 2), "<i2")
    assert kept.tolist() == [34, 34, 35, 35]
    assert len(channel.cut(0, 40 * 16_000)) <= 31 * 32_000


def test_the_history_alternates_and_is_short() -> None:
    history = History()
    for n in range(12):
        history.add("user", f"u{n}")
        history.add("user", "more")
        history.add("assistant", f"a{n}" if n % 2 else "")
    roles = [message.role for message in history.prompt_with("and now")]
    assert roles[1 + len(EXAMPLES)] == "user"
    assert all(a != b for a, b in itertools.pairwise(roles))
    assert len(roles) <= 1 + len(EXAMPLES) + 9


def test_the_router_is_right_about_most_training_phrases() -> None:
    younger = set(requests(held_out=False))  # the grammar came after the router, whose rules are left as measured
    younger |= {phrase.text for phrase in TRAINING if phrase.framed}  # and so did what interrupts
    asked = [phrase.text for phrase in TRAINING if phrase.delegate and phrase.text not in younger]
    dated = {"how_long", "fingers"}  # younger than the router, as orders are
    chatted = [p.text for p in TRAINING if not (p.delegate or p.task or p.framed or p.intent in dated)]
    assert sum(wants_look_up(text) for text in asked) > 0.85 * len(asked)
    assert sum(wants_look_up(text) for text in chatted) < 0.05 * len(chatted)
