"""Another model over a recorded conversation: its own decisions, recorded answers where it asks for them, a picture."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from infra.replay import lanes
from infra.replay.__main__ import parse, run_command
from infra.replay.encode import NothingToEncode
from infra.replay.find import read_session
from infra.replay.recorded import Recorded
from infra.replay.rerun import MATCH_TICKS, counterfactual
from infra.replay.run import CannotReplay, other
from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, CAPTURE_FRAMES, ENCODER_FRAMES, INTERACTION_TURNS
from services.encoder.model import weights_version
from services.interaction.echo import EchoModel
from services.interaction.protocol import StepInput, StepOutput
from shared.settings import ServiceSettings
from tests.pipeline.rig import encoded_frame, memory_rig, publish, read_all
from tests.pipeline.test_interaction_worker import Delegating, result
from tests.replay.conversations import RELEASED, TICKS, log_of

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]


class At(EchoModel):
    """Echo that delegates at some ticks."""

    name = "at"

    def __init__(self, *ticks: int) -> None:
        super().__init__(audio=False)
        self._ticks = ticks

    def step(self, batch: Sequence[StepInput]) -> list[StepOutput]:
        made = zip(batch, super().step(batch), strict=True)
        return [replace(o, delegate=True) if item.tick in self._ticks else o for item, o in made]


async def answered() -> Recorded:
    """Echo delegated at tick 3; the answer was there for tick 9."""
    async with memory_rig() as rig:
        await rig.interaction("interaction-0", Delegating())
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("s", k) for k in range(9)])
        await read_all(rig.log, INTERACTION_TURNS, 9)
        await publish(rig.log, BACKGROUND_RESULTS, [result("s", r.ResultKind.FINAL, "It is Paris")])
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("s", k, final=k == 59) for k in range(9, 60)])
        await read_all(rig.log, INTERACTION_TURNS, 60)
        return await read_session(rig.log, "s")


@pytest.mark.parametrize("tick", [1, 3, 3 + MATCH_TICKS])
async def test_a_delegation_near_the_recorded_one_is_answered_as_late_as_that_was(tick: int) -> None:
    recorded = await answered()
    rerun = counterfactual(At(tick), recorded, recorded.inputs())
    said = [k for k, turn in rerun.turns.items() if turn.text]
    assert said == [tick + 6, tick + 7, tick + 8]
    assert "".join(turn.text for turn in rerun.turns.values()).split() == ["It", "is", "Paris"]
    assert [result.task_id for _, result in rerun.results] == [f"s-{tick}"]


async def test_other_delegations_stay_unanswered_and_an_answer_is_used_once() -> None:
    recorded = await answered()
    far = counterfactual(At(4 + MATCH_TICKS), recorded, recorded.inputs())
    assert not any(turn.text for turn in far.turns.values())
    assert [task.task_id for task in far.turns[59].tasks] == [f"s-{4 + MATCH_TICKS}"]
    twice = counterfactual(At(2, 5), recorded, recorded.inputs())
    assert [one.task_id for _, one in twice.results] == ["s-2"]
    assert "".join(turn.text for turn in twice.turns.values()).split() == ["It", "is", "Paris"]


def test_delays_are_counted_from_the_end_of_the_users_turn() -> None:
    def turn(tick: int, floor: r.Floor, user: r.UserActivity) -> r.InteractionTurn:
        at = {"session_id": "s", "timestamp_ms": 200 * tick, "tick": tick, "model": "m", "epoch": 0, "input_offset": 0}
        return r.InteractionTurn(**at, floor=floor, user=user)

    hold, take, speaking, ended = r.Floor.HOLD, r.Floor.TAKE, r.UserActivity.SPEAKING, r.UserActivity.ENDED
    silent = r.UserActivity.SILENT
    script = [
        (hold, speaking),
        (hold, ended),
        (hold, silent),
        (take, silent),  # two ticks after the end
        (take, ended),  # at once
        (hold, speaking),
        (hold, ended),
        (hold, speaking),  # went on: no answer was due
        (take, speaking),
    ]
    turns = {k: turn(k, *one) for k, one in enumerate(script)}
    assert lanes.answer_delays(list(turns.values())) == [2, 0]
    assert lanes.figures(turns)["both_speak_ticks"] == 1


def another_encoder(folder: Path) -> Path:
    """A model folder whose encoder's weights are a little others than the released ones."""
    shutil.copytree(RELEASED, folder)
    with safe_open(folder / "encoder.safetensors", framework="pt") as opened:
        metadata = dict(opened.metadata())
    tensors = load_file(folder / "encoder.safetensors")
    tensors["heard_1"] = tensors["heard_1"] * 1.25
    metadata["version"] = weights_version(tensors)
    save_file(tensors, folder / "encoder.safetensors", metadata=metadata)
    config = json.loads((folder / "config.json").read_text())
    config |= {"encoder_version": metadata["version"], "name": "nano-louder"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


async def test_both_timelines_stand_one_above_the_other(
    spoken: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = await log_of(spoken)
    options = ["talk", "--model", str(another_encoder(tmp_path / "louder")), "--out", str(tmp_path)]
    assert await run_command(parse(options, ServiceSettings()), log) == 0
    report = json.loads((tmp_path / "talk" / "report.json").read_text())
    assert report["from"] == "capture.frames"  # the other encoder's frames had to be made
    assert report["model"].startswith("nano-louder-")
    assert report["recorded"]["words_said"] > 5
    assert report["recorded"]["events"]["delegated"] >= 1
    assert report["replayed"]["ticks"] == TICKS
    assert f"of {TICKS} ticks differ between nano-0" in capsys.readouterr().out
    with Image.open(tmp_path / "talk" / "timeline.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape[:2] == (1410, 1800)  # two strips of 20 s, two lanes each
    green = np.abs(pixels - (0x12, 0xA1, 0x87)).sum(axis=2) < 12
    assert green[:, 200:].sum() > 5_000  # somebody speaks

    with pytest.raises(CannotReplay, match="none of its frames"):
        await other(dataclasses.replace(spoken, frames={}), "echo", RELEASED, "encoder", tmp_path)


async def test_without_captured_frames_another_encoder_is_impossible(spoken: Recorded, tmp_path: Path) -> None:
    kept = Recorded.of("talk", [one for one in spoken.records if one.topic != CAPTURE_FRAMES.name])
    with pytest.raises(NothingToEncode):
        await other(kept, str(another_encoder(tmp_path / "louder")), RELEASED, "encoder", tmp_path)
    verdict = await other(kept, "echo", RELEASED, "encoder", tmp_path)  # echo takes any frames; drawn without sound
    assert verdict.report["replayed"]["floor_ticks"]["hold"] == TICKS
