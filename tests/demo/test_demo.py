"""The demo's parts by content: any recording is read, a session is counted truthfully, the picture shows it."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from rich.console import Console

from infra.demo import timeline
from infra.demo.__main__ import parse, run
from infra.demo.conversation import Conversation
from infra.demo.recording import Unreadable, load
from infra.demo.summary import summarise, write
from schemas import client
from schemas.records import TurnEvent
from tests.capture.conftest import running_capture, turn_for

START_MS = 1_700_000_000_000


def sound(path: Path, seconds: float = 1.0, rate_hz: int = 16_000, channels: int = 1, **options: str) -> Path:
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    values = 0.5 * np.sin(2 * np.pi * 300 * t)
    soundfile.write(path, np.stack([values] * channels, axis=1), rate_hz, **options)
    return path


@pytest.mark.parametrize("rate_hz", [4_000, 8_000, 11_025, 44_100, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_and_both_channels(tmp_path: Path, rate_hz: int, channels: int) -> None:
    recording = load(sound(tmp_path / "a.wav", rate_hz=rate_hz, channels=channels))
    assert recording.rate_hz == {4_000: 16_000, 96_000: 48_000}.get(rate_hz, rate_hz)
    assert recording.seconds == pytest.approx(1.0, abs=0.01)
    peak = np.abs(np.frombuffer(recording.pcm, "<i2").astype(int)).max()
    assert peak == pytest.approx(16_384, rel=0.02)


def test_other_formats(tmp_path: Path) -> None:
    assert load(sound(tmp_path / "a.flac")).seconds == 1.0
    assert load(sound(tmp_path / "b.wav", subtype="FLOAT")).seconds == 1.0


def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound at all")
    sound(tmp_path / "empty.wav", seconds=0)
    for name, says in (("none.wav", "no such file"), ("text.wav", "not readable as audio"), ("empty.wav", "no audio")):
        with pytest.raises(Unreadable, match=f"{name}.*{says}"):
            load(tmp_path / name)


def turn(tick: int, latency_ms: float = 20.0, **fields: object) -> tuple[client.Turn, float]:
    end_ms = START_MS + 200.0 * (tick + 1)
    defaults = {"floor": "hold", "user": "silent", "timestamp_ms": START_MS + 200 * tick}
    return client.Turn(tick=tick, frame_end_ms=end_ms, **(defaults | fields)), end_ms + latency_ms


def conversation(*turns: tuple[client.Turn, float], ticks: int | None) -> Conversation:
    one = Conversation()
    for message, at in turns:
        one.add(message, at)
    if ticks is not None:
        one.add(client.Ended(reason="bye", ticks=ticks), 0)
    return one


def test_a_whole_session_is_complete() -> None:
    events = [TurnEvent(name="delegated", task_id="a")], [TurnEvent(name="weave_finished", task_id="a")]
    summary = summarise(
        conversation(turn(0), turn(1, 10, events=events[0]), turn(2, 250, events=events[1]), turn(3, 30), ticks=4)
    )
    assert summary.complete
    assert (summary.ticks, summary.turns, summary.missing, summary.doubled) == (4, 4, 0, 0)
    assert (summary.deadline_misses, summary.p50_ms, summary.delegations, summary.woven) == (1, 25.0, 1, 1)


def test_missing_and_doubled_ticks_are_never_complete() -> None:
    doubled = summarise(conversation(turn(0), turn(1), turn(1), turn(2), ticks=3))
    assert (doubled.missing, doubled.doubled, doubled.complete) == (0, 1, False)
    missing = summarise(conversation(turn(0), turn(2), ticks=3))
    assert (missing.missing, missing.complete) == (1, False)
    swapped = summarise(conversation(turn(0), turn(0), turn(2), ticks=3))
    assert (swapped.turns, swapped.missing, swapped.doubled, swapped.complete) == (3, 1, 1, False)
    broken_off = summarise(conversation(turn(0), turn(1), ticks=None))
    assert (broken_off.missing, broken_off.complete) == (1, False)
    assert not summarise(conversation(ticks=None)).complete


def test_the_files(tmp_path: Path) -> None:
    loud = np.full(4800, 8192, "<i2").tobytes()
    one = conversation(turn(0, text=" hi", floor="take"), turn(1, audio=loud), turn(2, gap_ms=40, final=True), ticks=3)
    summary = summarise(one)
    assert [p.name for p in write(summary, one, tmp_path)] == ["summary.json", "turns.jsonl", "answer.wav"]
    assert set(json.loads((tmp_path / "summary.json").read_text())) == set(
        "ticks turns missing doubled deadline_misses p50_ms p99_ms delegations woven".split()
    )
    lines = [json.loads(line) for line in (tmp_path / "turns.jsonl").read_text().splitlines()]
    assert [(line["tick"], line["text"], line["gap_ms"], line["final"]) for line in lines] == [
        (0, " hi", 0, False),
        (1, "", 0, False),
        (2, "", 40, True),
    ]
    assert [line["audio"] for line in lines] == [None, {"bytes": 9600, "dbfs": -12.0}, None]
    with wave.open(str(tmp_path / "answer.wav")) as answer:
        assert (answer.getframerate(), answer.getnframes()) == (24_000, 3 * 4800)
        assert answer.readframes(3 * 4800) == bytes(9600) + loud + bytes(9600)


def test_the_picture_shows_floors_words_and_tasks(tmp_path: Path) -> None:
    recording = load(sound(tmp_path / "a.wav", seconds=25))
    turns = [turn(n, user="speaking" if n < 20 else "silent") for n in range(30)]
    turns += [turn(n, floor="take", text=" word") for n in range(30, 40)]
    turns += [turn(40, floor="yield", events=[TurnEvent(name="delegated", task_id="t")])]
    turns += [turn(n, gap_ms=200) for n in range(41, 125)]
    one = conversation(*turns, ticks=125)
    one.add(client.Result(task_id="t", seq=0, kind="final", timestamp_ms=START_MS, text="the answer"), 0)
    (task,) = timeline.tasks_of(one)
    assert (task.first_tick, task.last_tick, task.text, task.running) == (40, 124, "the answer", False)
    timeline.draw(one, recording, summarise(one), tmp_path / "timeline.png")
    with Image.open(tmp_path / "timeline.png") as picture:
        assert picture.width == 1800
        assert picture.height > 600, "25 s are two rows"
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24) or []}
    for shown in ("#12a187", "#e2703a", "#e3effc", "#e9e3fb", "#1f7ae0"):
        assert tuple(bytes.fromhex(shown[1:])) in colours, shown


async def test_a_recording_is_played_against_a_running_stack(tmp_path: Path) -> None:
    path = sound(tmp_path / "two seconds.wav", seconds=2.0, rate_hz=22_050, channels=2)
    out = io.StringIO()
    console = Console(file=out, width=120)
    async with running_capture() as capture:
        arguments = parse(["--wav", str(path), "--url", capture.url, "--out", str(tmp_path / "out"), "--tail", "2"])
        status = await run(arguments, console)
        sessions = {frame.session_id for frame in await capture.topics.read("capture.frames")}
        (session_id,) = sessions
        frames = await capture.topics.frames(session_id)
    assert status == 0, out.getvalue()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["ticks"] == summary["turns"] == len(frames)
    assert 10 <= summary["ticks"] <= 21
    assert "every tick has exactly one turn" in out.getvalue()


async def test_a_stack_that_loses_a_turn_fails_the_demo(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.wav", seconds=1.6)
    out = io.StringIO()
    async with running_capture() as capture:
        # The turn of tick 3 says that it is tick 2's: capture plays tick 2 once, and tick 3 never comes.
        capture.topics.make_turn = lambda frame: turn_for(frame, tick=2 if frame.tick == 3 else frame.tick)
        arguments = parse(["--wav", str(path), "--url", capture.url, "--out", str(tmp_path), "--tail", "1"])
        assert await run(arguments, Console(file=out, width=120)) == 1
    assert json.loads((tmp_path / "summary.json").read_text())["missing"] == 1
    assert "not every tick has exactly one turn" in out.getvalue()
