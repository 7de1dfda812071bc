"""A model that speaks: its words become audio in the turns, also when a worker dies in mid-word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from infra.replay.compare import Comparison, compare_turns
from infra.replay.find import read_session
from infra.replay.rerun import follow
from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, ENCODER_FRAMES, INTERACTION_TURNS
from services.interaction.echo import EchoModel
from services.interaction.protocol import StepInput, StepOutput, Voice
from tests.pipeline.rig import START_MS, encoded_frame, memory_rig, publish, read_all
from tests.speech.voices import speaker

WORDS = "well, that is 5 of 7. And one more thing".split()


class Talker(EchoModel):
    """Says a word a tick, in a manner each by turns; yields at ``yields``; writes nothing else. ``seen`` are the voices
    it was shown."""

    def __init__(self, *, yields: int = -1, delegates: int = -1) -> None:
        super().__init__(audio=False)
        self.seen: list[tuple[int, Voice]] = []
        self._yields, self._delegates = yields, delegates

    def step(self, batch: Sequence[StepInput]) -> list[StepOutput]:
        return [self._talk(item, output) for item, output in zip(batch, super().step(batch), strict=True)]

    def _talk(self, item: StepInput, output: StepOutput) -> StepOutput:
        self.seen.append((item.tick, item.voice))
        over = len(WORDS) if self._yields < 0 else min(len(WORDS), self._yields)
        word = f" {WORDS[item.tick]}" if item.tick < over else ""
        if self._delegates >= 0:
            busy = item.voice is Voice.BUSY or item.tick == self._yields
            word, output = "", replace(output, say_pending=output.say_pending and not busy)
        floor = r.Floor.YIELD if item.tick == self._yields else r.Floor.TAKE if word else r.Floor.HOLD
        manner = list(r.Manner)[item.tick % len(r.Manner)]
        return replace(output, text=word, floor=floor, manner=manner, delegate=item.tick == self._delegates)


def sounds(turns: list[r.InteractionTurn]) -> list[Any]:
    ordered = sorted(turns, key=lambda t: t.key)
    return [(t.session_id, t.tick, t.floor, t.manner, t.text, t.audio, t.speech) for t in ordered]


def frames(count: int, sessions: str = "ab", first: int = 0, **fields: Any) -> list[r.EncodedFrame]:
    return [encoded_frame(s, k, **fields) for k in range(first, count) for s in sessions]


async def spoken(frames_: list[r.EncodedFrame], **talker: int) -> list[r.InteractionTurn]:
    async with memory_rig() as rig:
        await rig.interaction(model=Talker(**talker), voice=speaker())
        await publish(rig.log, ENCODER_FRAMES, frames_)
        return await read_all(rig.log, INTERACTION_TURNS, len(frames_))


async def test_turns_carry_the_sound_of_their_words_and_the_floor_is_kept_until_it_ends() -> None:
    turns = [t for t in await spoken(frames(60)) if t.session_id == "a"]
    assert all(t.speech is not None for t in turns)
    heard = [w.text for t in turns for w in (t.speech.words if t.speech else []) if w.end_ms is not None]
    assert heard == WORDS
    assert [t.text.strip() for t in turns if t.text] == WORDS
    assert [t.manner for t in turns[:6]] == list(r.Manner)
    for turn in turns:
        assert turn.speech is not None
        assert turn.audio is None or len(turn.audio) == 9600
        assert (turn.floor is r.Floor.TAKE) == (turn.speech.left_ms > 0 or bool(turn.text))
    assert turns[-1].audio is None and turns[0].floor is r.Floor.TAKE


async def test_the_model_is_told_what_its_voice_does() -> None:
    model = Talker()
    async with memory_rig() as rig:
        await rig.interaction(model=model, voice=speaker())
        await publish(rig.log, ENCODER_FRAMES, frames(60, "a"))
        turns = await read_all(rig.log, INTERACTION_TURNS, 60)
    left = [0] + [t.speech.left_ms for t in turns if t.speech]
    wanted = [Voice.SILENT if ms == 0 else Voice.READY if ms < 600 else Voice.BUSY for ms in left[:60]]
    assert [voice for _, voice in model.seen] == wanted
    assert set(wanted) == set(Voice)


@pytest.mark.parametrize("cut", [1, 6, 13, 24])
async def test_a_crash_in_mid_word_changes_no_byte(cut: int) -> None:
    wanted = sounds(await spoken(frames(40)))
    async with memory_rig() as rig:
        await rig.interaction("interaction-0", Talker(), voice=speaker(), max_records=7)
        await publish(rig.log, ENCODER_FRAMES, frames(cut))
        await read_all(rig.log, INTERACTION_TURNS, 2 * cut)
        await rig.crash("interaction-0")
        await publish(rig.log, ENCODER_FRAMES, frames(40, first=cut))
        await rig.interaction("interaction-1", Talker(), voice=speaker())
        turns = await read_all(rig.log, INTERACTION_TURNS, 80)
    assert sounds(turns) == wanted


async def test_a_yield_ends_the_sound_in_its_tick_and_the_transcript_holds_what_was_heard() -> None:
    turns = await spoken([*frames(20, "a"), encoded_frame("a", 20, final=True)], yields=6)
    cut = turns[6]
    assert cut.floor is r.Floor.YIELD and cut.speech is not None and cut.speech.cut and cut.speech.left_ms == 0
    assert cut.audio is not None and not any(cut.audio[-4:])
    assert all(t.audio is None and t.floor is r.Floor.HOLD for t in turns[7:])
    heard = [w for t in turns for w in (t.speech.words if t.speech else []) if w.end_ms is not None]
    assert [w.text for w in heard] == WORDS[: len(heard)]
    assert len(heard) < len([t for t in turns if t.text])


async def test_words_of_a_result_that_nobody_heard_are_said_again() -> None:
    async with memory_rig() as rig:
        await rig.interaction(model=Talker(delegates=1, yields=14), voice=speaker())
        await publish(rig.log, ENCODER_FRAMES, frames(3, "a"))
        await read_all(rig.log, INTERACTION_TURNS, 3)
        text = "one two three four five six seven eight nine ten eleven twelve"
        final = r.BackgroundResult(
            session_id="a", timestamp_ms=START_MS + 600, task_id="a-1", seq=0, kind=r.ResultKind.FINAL, text=text
        )
        await publish(rig.log, BACKGROUND_RESULTS, [final])
        await publish(rig.log, ENCODER_FRAMES, frames(80, "a", first=3))
        turns = await read_all(rig.log, INTERACTION_TURNS, 80)
    assert turns[14].speech is not None and turns[14].speech.cut
    heard = [w.text for t in turns for w in (t.speech.words if t.speech else []) if w.end_ms is not None and not w.cut]
    assert " ".join(heard) == text
    written = " ".join(t.text.strip() for t in turns if t.text)
    assert len(written) > len(text)  # what was lost with the cut was written again


async def test_an_unknown_voice_is_told_and_the_default_one_speaks() -> None:
    def with_voice(name: str) -> list[r.EncodedFrame]:
        started = r.ClientEvent(name="session.started", data={"voice": name})
        return [encoded_frame("a", 0, events=[started]), *frames(12, "a", first=1)]

    plain, unknown, chosen = [await spoken(with_voice(name)) for name in ("default", "zoe", "bert")]
    assert [t.audio for t in plain] == [t.audio for t in unknown] != [t.audio for t in chosen]
    assert unknown[0].events[-1].data == {"unknown_voice": "zoe", "voice": "anna", "voices": ["anna", "bert", "carla"]}
    assert not any(t.events for t in plain + chosen)


async def test_a_replay_of_what_was_spoken_through_a_crash_gives_the_same_bytes() -> None:
    async with memory_rig() as rig:
        await rig.interaction("interaction-0", Talker(), voice=speaker(), max_records=5)
        await publish(rig.log, ENCODER_FRAMES, frames(11, "a"))
        await read_all(rig.log, INTERACTION_TURNS, 11)
        await rig.crash("interaction-0")
        await publish(rig.log, ENCODER_FRAMES, frames(40, "a", first=11))
        await rig.interaction("interaction-1", Talker(), voice=speaker())
        await read_all(rig.log, INTERACTION_TURNS, 40, done=lambda got: sum(hasattr(t, "tick") for t in got) >= 40)
        recorded = await read_session(rig.log, "a")
    assert any(turn.audio for turn in recorded.turns.values())
    for voice, same in ((speaker(), True), (None, False)):
        comparison = Comparison()
        compare_turns(recorded, follow(Talker(), recorded, recorded.inputs(), voice), comparison)
        assert comparison.turns == 40
        assert comparison.identical is same
