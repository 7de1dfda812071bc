"""What a scenario sounds like, to the sample, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from infra.eval import clips, render, video
from infra.eval.clips import Clips, SpeechMissing, Take, digest, piece
from infra.eval.scenario import Clip, Role, Scenario, VideoEvent, Word

VOICE = "kokoro:test"
RAMP = (np.arange(1, 1001) * 32).astype(np.int16)  # 32, 64, … 32000: every sample tells its place


@pytest.fixture
def speech(tmp_path: Path) -> Clips:
    words = [Word(text="up", start_sample=0, end_sample=600), Word(text="down", start_sample=600, end_sample=1000)]
    takes = [
        Take(voice=VOICE, text="up down", pcm=RAMP, words=words),
        Take(voice=VOICE, text="flat", pcm=np.full(500, 4000, np.int16)),
        Take(voice="piper:other", text="flat", pcm=np.full(40, 32760, np.int16)),
    ]
    clips.write(takes, tmp_path)
    return Clips(tmp_path)


def clip(text: str, start: int, length: int, **fields: object) -> Clip:
    return Clip(id=f"c{start}", role=Role.TURN, voice=VOICE, text=text, start_sample=start, end_sample=start + length,
                **fields)  # fmt: skip


def scenario(*all_clips: Clip, duration_ms: int = 200, **fields: object) -> Scenario:
    return Scenario(id="s", suite="x", rows=[1], seed=5, duration_ms=duration_ms, clips=list(all_clips), **fields)


def test_takes_come_back_as_they_were_written(speech: Clips) -> None:
    take = speech.take(VOICE, "up down")
    assert np.array_equal(take.pcm, RAMP)
    assert [(w.text, w.end_sample) for w in take.words] == [("up", 600), ("down", 1000)]
    assert speech.take("piper:other", "flat").pcm.tolist() == [32760] * 40
    with pytest.raises(SpeechMissing, match="no 'sideways' by"):
        speech.take(VOICE, "sideways")


def test_clips_lie_where_the_script_says_and_add_up(speech: Clips) -> None:
    pcm = render.render(scenario(clip("up down", 100, 1000), clip("flat", 150, 500)), speech).pcm
    assert len(pcm) == 3200
    assert not pcm[:100].any()
    assert pcm[100:150].tolist() == RAMP[:50].tolist()
    assert pcm[150:650].tolist() == [int(x) + 4000 for x in RAMP[50:550]]
    assert pcm[650:1100].tolist() == RAMP[550:].tolist()
    assert not pcm[1100:].any()


def test_gain_is_decibels_and_the_sum_is_rounded_once(speech: Clips) -> None:
    half = render.render(scenario(clip("flat", 0, 500, gain_db=-6.0206)), speech).pcm
    assert half[:500].tolist() == [2000] * 500
    # 4000 * 10^(-25/20) = 224.94, twice that is 449.87: 450, where rounding each would give 450 by luck or 449
    both = render.render(scenario(clip("flat", 0, 500, gain_db=-25.0), clip("flat", 0, 500, gain_db=-25.0)), speech).pcm
    assert both[:500].tolist() == [450] * 500


def test_what_is_too_loud_is_clipped_not_wrapped(speech: Clips) -> None:
    loud = clip("flat", 0, 40)
    loud = Clip(id="l", role=Role.TURN, voice="piper:other", text="flat", start_sample=0, end_sample=40, gain_db=6.0)
    assert render.render(scenario(loud), speech).pcm[:40].tolist() == [32767] * 40


def test_a_piece_is_faded_where_it_was_cut_and_nowhere_else(speech: Clips) -> None:
    first, second = piece(RAMP, 0, 600), piece(RAMP, 600, 1000)
    assert first[:440].tolist() == RAMP[:440].tolist()
    assert first[599] == 0
    # 20 samples before the cut the ramp stands at 19/160: 581 * 32 * 19 / 160 = 2207.8, in steps of 32: 2208
    assert first[580] == 2208
    assert second[0] == 0
    assert second[160:].tolist() == RAMP[760:].tolist()
    cut = clip("down", 320, 400, take="up down", take_begin=600, take_end=1000, sha256=digest(second))
    assert render.render(scenario(cut), speech).pcm[320:720].tolist() == second.tolist()


def test_speech_that_is_not_what_the_scenario_was_made_with_is_found_out(speech: Clips) -> None:
    with pytest.raises(SpeechMissing, match="is not what c0 was made with"):
        render.render(scenario(clip("flat", 0, 500, sha256="0" * 64)), speech)
    with pytest.raises(SpeechMissing, match="room for 499 samples"):
        render.render(scenario(clip("flat", 0, 499)), speech)


@pytest.mark.parametrize("kind", ["white", "pink", "hum"])
def test_noise_has_its_level_and_is_the_same_again(kind: str, speech: Clips) -> None:
    noise = Clip(
        id="n", role=Role.NOISE, voice=f"noise:{kind}", start_sample=0, end_sample=32_000, gain_db=-40.0
    )
    once = render.render(scenario(noise, duration_ms=2000), speech).pcm
    again = render.render(scenario(noise, duration_ms=2000), speech).pcm
    assert np.array_equal(once, again)
    level = 20 * np.log10(np.sqrt(np.mean(once.astype(float) ** 2)) / 32768)
    assert level == pytest.approx(-40.0, abs=0.05)


def test_pictures_show_what_the_script_says() -> None:
    ball = VideoEvent(kind="ball", start_ms=400, end_ms=900, params={"colour": "orange", "x": 0.5, "size": 1.0})
    shown = video.pictures(scenario(duration_ms=1000, video=[ball]))
    assert [ms for ms, _ in shown] == [100, 300, 500, 700, 900]
    assert all(jpeg[:2] == b"\xff\xd8" for _, jpeg in shown)
    pixels = [np.asarray(video.draw([ball], ms, 5), int)[video.FLOOR, video.WIDTH // 2] for ms in (300, 500, 900)]
    assert pixels[1].tolist() == [245, 140, 20]
    assert pixels[0].tolist() == pixels[2].tolist() != pixels[1].tolist()
    assert video.pictures(scenario()) == []


def test_a_figure_lands_at_each_mark_and_a_wheel_rests_outside_of_its_time() -> None:
    jumps = VideoEvent(
        kind="jumps", start_ms=1000, end_ms=3000, marks_ms=[2000, 3000],
        params={"period_ms": 1000.0, "height": 20.0, "x": 0.5, "size": 1.0},
    )  # fmt: skip
    wheel = VideoEvent(
        kind="action_wheel", start_ms=1000, end_ms=2000, params={"turn_ms": 1500.0, "x": 0.5, "size": 1.0}
    )

    def same(event: VideoEvent, one_ms: int, other_ms: int) -> bool:
        return video.draw([event], one_ms, 1).tobytes() == video.draw([event], other_ms, 1).tobytes()

    assert same(jumps, 0, 2000) and same(jumps, 2000, 3000) and same(jumps, 1100, 1200)
    assert not same(jumps, 1100, 1600)
    assert same(wheel, 0, 999) and same(wheel, 2000, 5000)
    assert not same(wheel, 1000, 1400)
