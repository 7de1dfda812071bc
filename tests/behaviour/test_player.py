"""A scenario through the real door: what was sent, what came back, and what an interrupted run keeps."""

from __future__ import annotations

from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest
import soundfile

from infra.eval import player, recording, runner
from infra.eval.heard import audible
from infra.eval.recording import Recording
from infra.eval.render import Rendered
from infra.eval.runner import Job, Seats, estimate_s, jobs, play_all
from infra.eval.scenario import Clip, Role, Scenario, Typed, VideoEvent, fingerprint
from infra.eval.scripted_llm import UNKNOWN, Clash, Script, serving
from schemas import client
from schemas import records as r
from tests.capture.conftest import running_capture, turn_for

NOISE = Clip(id="n", role=Role.NOISE, voice="noise:white", start_sample=0, end_sample=19_200, gain_db=-30.0)
BALL = VideoEvent(kind="ball", start_ms=0, end_ms=900, params={"colour": "pink", "x": 0.5, "size": 1.0})


def scenario(number: int = 0, **fields: object) -> Scenario:
    return Scenario(id=f"s-{number}", suite="x", rows=[1], seed=7, duration_ms=1200, clips=[NOISE], **fields)


def loud_turn(frame: r.CaptureFrame) -> r.InteractionTurn:
    """Sound whose every sample is 1000 + the tick; a result's event in tick 2; silence in tick 1."""
    level = 1000 + frame.tick if frame.tick != 1 else 0
    events = [r.TurnEvent(name="delegated", task_id="t1")] if frame.tick == 2 else []
    return turn_for(frame, audio=np.full(4800, level, "<i2").tobytes(), events=events)


def test_messages_leave_when_a_microphone_and_a_camera_would_send_them() -> None:
    rendered = Rendered(np.arange(800, dtype=np.int16), [(35, b"one"), (45, b"two")])
    sent = list(player.outgoing(scenario(typed=[Typed(at_ms=40, text="hi")]), rendered))
    assert [(ms, type(message).__name__) for ms, message in sent] == [
        (20.0, "Audio"), (35.0, "Picture"), (40.0, "Audio"), (40.0, "Text"), (45.0, "Picture"), (50.0, "Audio"),
    ]  # fmt: skip
    audio = b"".join(message.pcm for _, message in sent if isinstance(message, client.Audio))
    assert audio == np.arange(800, dtype="<i2").tobytes()


async def test_both_channels_are_kept_to_the_sample(tmp_path: Path) -> None:
    script = scenario(video=[BALL], typed=[Typed(at_ms=300, text="hello")])
    rendered = runner.render(script, None)  # noise only: no speech is looked up
    async with running_capture() as capture:
        capture.topics.make_turn = loud_turn
        made = await player.play(capture.url, script, rendered, tmp_path, model="test", stamp="abc")
        (session,) = {frame.session_id for frame in await capture.topics.read("capture.frames")}
        frames = await capture.topics.frames(session)
    assert made == recording.load(tmp_path)
    assert (made.error, made.stamp, made.model, made.scenario) == ("", "abc", "test", "s-0")
    assert (made.missing_ticks, made.doubled_ticks, made.script) == (0, 0, fingerprint(script))
    assert [tick.tick for tick in made.ticks] == list(range(len(frames)))
    assert [tick.text for tick in made.ticks] == [f" t{n}" for n in range(len(frames))]
    assert made.ticks[2].events == ["delegated"] and made.ticks[2].task_ids == ["t1"]

    # the script's first sample was spoken start_offset_ms after the begin of tick 0, and user.wav says so
    user, rate_hz = soundfile.read(tmp_path / "user.wav", dtype="int16")
    lead = round(made.start_offset_ms * 16)
    assert rate_hz == 16_000 and lead > 0
    assert not user[:lead].any()
    assert np.array_equal(user[lead:], rendered.pcm)

    # each turn's sound begins where the log says that it was played, never before it was due or had come
    sound, rate_hz = soundfile.read(tmp_path / "model.wav", dtype="int16")
    assert rate_hz == 24_000
    for tick in made.ticks:
        assert tick.has_audio and tick.played_ms >= max(tick.arrived_ms, (tick.tick + 1) * 200) - 0.11
        if tick.tick != 1:
            begin = round(tick.played_ms * 24)
            assert set(sound[begin + 4 : begin + 4796].tolist()) == {1000 + tick.tick}
    assert audible(tmp_path / "model.wav")[0].start_ms == pytest.approx(made.ticks[0].played_ms, abs=20)

    # what the server got: the script's announcement, its text, its pictures
    names = [event.name for frame in frames for event in frame.events]
    assert names.count("scenario") == 1
    assert "".join(frame.text for frame in frames) == "hello"
    shown = [image.jpeg for frame in frames for image in frame.images]
    assert shown and set(shown) <= {jpeg for _, jpeg in rendered.pictures}


async def test_a_session_that_is_refused_leaves_its_reason(tmp_path: Path) -> None:
    script = scenario()
    async with running_capture(capture_tokens="secret") as capture:
        made = await player.play(capture.url, script, runner.render(script, None), tmp_path, model="m")
    assert "bad_token" in made.error and made.ticks == []
    assert recording.load(tmp_path).error == made.error


async def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    scenarios = [scenario(n) for n in range(3)]
    done: list[str] = []

    def note(job: Job, made: Recording) -> None:
        done.append(job.scenario.id)
        assert not made.error

    def left(identity: str = "code 1") -> list[Job]:
        return [job for job in jobs(scenarios, "test", tmp_path, identity) if not job.kept()]

    async with running_capture() as capture:
        await play_all(capture.url, left()[:2], None, seats=Seats(2, fixed=True), done=note)
        assert [job.scenario.id for job in left()] == ["s-2"]
        await play_all(capture.url, left(), None, seats=Seats(2, fixed=True), done=note)
    assert sorted(done) == ["s-0", "s-1", "s-2"]
    assert left() == []
    assert len(left("code 2")) == 3, "other code or another model: played again"
    scenarios[1] = scenario(1, note="changed")
    assert [job.scenario.id for job in left()] == ["s-1"], "a scenario that was changed is played again"
    (tmp_path / "test" / "s-0" / "recording.json").write_text('{"half')
    (tmp_path / "test" / "s-2" / "model.wav").unlink()
    assert [job.scenario.id for job in left()] == ["s-0", "s-1", "s-2"], "what is not whole is played again"


def test_there_are_fewer_conversations_at_once_while_turns_come_late() -> None:
    def ended(late: int) -> Recording:
        tick = recording.TickLog(tick=0, arrived_ms=0.0, floor="hold", user="silent")
        return Recording(scenario="s", model="m", ticks=[tick] * 100, late_ticks=late)

    seats = Seats(8)
    counts = [seats.count]
    for late in (0, 5, 0, 0, 0, 6, 6, 100, 100, 100, 100, 100, 100, 0):
        seats.saw(ended(late))
        counts.append(seats.count)
    assert counts == [4, 5, 6, 7, 8, 8, 6, 4, 3, 2, 1, 1, 1, 1, 2]
    fixed = Seats(3, fixed=True)
    fixed.saw(ended(100))
    assert fixed.count == 3


def test_an_estimate_is_wall_time() -> None:
    todo = jobs([scenario(n) for n in range(10)], "m", Path("x"), "")
    assert estimate_s(todo, 5) == runner.START_S + 10 * 2.7 / 5
    assert estimate_s(todo[:1], 5) == runner.START_S + 2.7
    assert estimate_s([], 5) == 0.0


# --- the scripted language model


def knows(key: str, text: str, delay_ms: int) -> Scenario:
    return scenario(results={key: text}, delays_ms={key: delay_ms})


def test_the_first_key_word_of_the_question_decides() -> None:
    script = Script([knows("ocean", "The Pacific.", 10), knows("flute", "Mozart.", 20)])
    assert script.answer("Which OCEAN, not flute?").text == "The Pacific."
    assert script.answer("who composed the magic flute").delay_ms == 20
    assert script.answer("oceans of time").text == UNKNOWN
    counts = Script([knows("to ten", "One two.", 10), knows("ten", "A number.", 10)])
    assert counts.answer("Count to 10, please").text == "One two."
    assert counts.answer("ten of them").text == "A number."
    with pytest.raises(Clash, match="'ocean'"):
        Script([knows("ocean", "The Pacific.", 10), knows("ocean", "The Atlantic.", 10)])


async def test_the_background_service_can_use_it() -> None:
    from services.background.llm import ChatEndpoint
    from services.background.prompt import Message

    async with serving(Script([knows("ocean", "The Pacific.", 5)])) as url:
        llm = ChatEndpoint(url)
        asked = [Message("system", "ocean"), Message("user", "what about the biggest ocean")]
        assert "".join([delta async for delta in llm.stream(asked, max_tokens=50)]) == "The Pacific."
        await llm.close()
        async with httpx.AsyncClient() as http:
            listed = (await http.get(f"{url}/models")).json()
    assert msgspec.convert(listed["data"][0]["id"], str) == "scripted"
