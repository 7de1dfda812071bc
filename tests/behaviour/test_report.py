"""The report over recordings on disk: what it says is what is there."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from msgspec.structs import replace

from infra.eval import recording, report
from infra.eval.recording import HeardWord, Recording
from infra.eval.scenario import Scenario, Suite, fingerprint
from tests.behaviour import rig

TURN = {
    "name": "turn",
    "duration_ms": 8000,
    "rows": [1, 2],
    "clips": [["u", "turn", 1000, 3000]],
    "expect": [{"want": "reply", "clip": "u", "from_ms": 3000, "to_ms": 5000}],
}
ANSWER = [(15, "sure that is fine")]


def scenarios() -> list[Scenario]:
    return [rig.scenario({**TURN, "name": f"turn-{n:03d}"}) for n in range(12)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite of twelve scenarios; few pictures, for drawing takes most of the time."""
    monkeypatch.setattr(report, "FAILURES_SHOWN", 1)
    monkeypatch.setattr(report, "SUCCESSES_SHOWN", 1)
    (tmp_path / "scenarios").mkdir()
    suite = Suite(name="golden", scenarios=scenarios())
    (tmp_path / "scenarios" / "golden.json").write_bytes(msgspec.json.encode(suite))
    return tmp_path


def keep(folder: Path, model: str, script: Scenario, made: Recording) -> Path:
    place = folder / "eval" / model / script.id
    recording.save(replace(made, scenario=script.id, model=model, script=fingerprint(script)), place)
    return place


def make(folder: Path, models: list[str]) -> tuple[dict[str, object], str]:
    where = {"reports": folder / "reports", "scenarios": folder / "scenarios"}
    path = report.write(folder / "eval", models, ["golden"], **where, say=lambda _: None)
    return json.loads(path.read_text()), path.with_suffix(".md").read_text()


def value(made: dict[str, object], metric: str, model: str) -> float | None:
    rows = [row for row in made["rows"] if (row["metric"], row["model"]) == (metric, model)]
    assert len(rows) == 1, (metric, model)
    return rows[0]["value"]


def test_rows_and_pages_say_the_same(folder: Path) -> None:
    for number, script in enumerate(scenarios()):
        keep(folder, "nano", script, rig.recording(rig.said(ANSWER if number else []), 40))
        keep(folder, "always_silent", script, rig.recording({}, 40))
        keep(folder, "oracle", script, rig.recording(rig.said(ANSWER), 40))
    made, page = make(folder, ["oracle", "nano", "always_silent", "harness"])
    assert value(made, "tor", "nano") == pytest.approx(11 / 12, abs=1e-6)
    assert value(made, "turn_latency_p50_s", "nano") == pytest.approx(0.2)
    assert value(made, "tor", "always_silent") == 0.0
    assert "**0.917**" in page and "No recordings: harness." in page and "no voice" in page
    keys = {"metric", "model", "value", "unit", "n", "low", "high", "row", "note"}
    assert all(set(row) == keys for row in made["rows"])
    assert not [found for found in made["checks"] if found["kind"] == "defect"]
    (failed,) = {f["scenario"] for f in made["failures"] if f["model"] == "nano"}
    assert failed == "turn-000"
    assert (folder / "reports" / "behaviour" / "timelines" / "nano" / "turn-000.png").stat().st_size > 10_000
    assert (folder / "reports" / "behaviour" / "overview.png").exists()


def test_few_recordings_give_no_rate(folder: Path) -> None:
    for script in scenarios()[:9]:
        keep(folder, "nano", script, rig.recording(rig.said(ANSWER), 40))
    made, page = make(folder, ["nano"])
    assert value(made, "tor", "nano") is None
    assert "– n=9" in page
    assert made["models"][0]["missing"] == 3


def test_recordings_of_another_script_and_failed_ones_do_not_count(folder: Path) -> None:
    first, second, *rest = scenarios()
    for script in rest:
        keep(folder, "nano", script, rig.recording(rig.said(ANSWER), 40))
    keep(folder, "nano", first, replace(rig.recording({}, 0), error="Refusal: at_capacity"))
    other = replace(second, duration_ms=9000)
    recording.save(
        replace(rig.recording({}, 40), scenario=second.id, model="nano", script=fingerprint(other)),
        folder / "eval" / "nano" / second.id,
    )
    made, _ = make(folder, ["nano"])
    (model,) = made["models"]
    assert (model["scored"], model["outdated"], model["failed"]) == (10, 1, {first.id: "Refusal: at_capacity"})
    assert value(made, "tor", "nano") == 1.0


def test_a_voice_is_scored_by_its_sound_and_again_by_its_text(folder: Path) -> None:
    """It sounds from 3.4 to 4.2 s and wrote the words a little earlier; in ten of twelve they were heard."""
    for number, script in enumerate(scenarios()):
        made = rig.recording(rig.said(ANSWER), 40)
        ticks = [replace(t, has_audio=bool(t.text), level_dbfs=-20.0 if t.text else -120.0) for t in made.ticks]
        words = ["sure", "that", "is", "fine"] if number >= 2 else ["hm"]
        heard = [HeardWord(text=w, start_ms=3400.0 + 200 * i, end_ms=3600.0 + 200 * i) for i, w in enumerate(words)]
        place = keep(folder, "harness", script, replace(made, ticks=ticks, heard=heard, heard_by="Whisper base"))
        sound = np.zeros(8 * 24_000, np.int16)
        sound[round(3.4 * 24_000) : round(4.2 * 24_000)] = 3000
        soundfile.write(place / "model.wav", sound, 24_000, subtype="PCM_16")
    made_report, page = make(folder, ["harness"])
    assert value(made_report, "turn_latency_p50_s", "harness") == pytest.approx(0.4)
    assert value(made_report, "tor", "harness") == pytest.approx(10 / 12, abs=1e-6)
    assert value(made_report, "tor_text", "harness") == 1.0
    assert "Whisper base" in page and "Cross-check" in page


def test_a_control_that_wins_is_called_a_defect_of_the_metric(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for script in scenarios():
        keep(folder, "oracle", script, rig.recording({}, 40))  # an oracle that fails
        keep(folder, "always_silent", script, rig.recording({}, 40))
    arguments = ["golden", "--recordings", str(folder / "eval"), "--reports", str(folder / "reports")]
    assert report.main([*arguments, "--scenarios", str(folder / "scenarios")]) == 2
    assert "metric defect: smooth_turns" in capsys.readouterr().err
    assert "**metric defect** tor" in (folder / "reports" / "behaviour.md").read_text()


def test_a_suite_that_is_not_there_is_a_clear_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(["nothing", "--scenarios", str(folder / "scenarios")]) == 1
    assert "nothing.json" in capsys.readouterr().err


def test_any_timeline_can_be_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, "oracle", scenarios()[3], rig.recording(rig.said(ANSWER), 40))
    where = ["--scenarios", str(folder / "scenarios"), "--recordings", str(folder / "eval"), "--reports", str(folder)]
    assert report.main(["golden", "--draw", "turn-003", *where]) == 0
    assert Path(capsys.readouterr().out.strip()).stat().st_size > 10_000
    assert report.main(["golden", "--draw", "turn-004", *where]) == 1
