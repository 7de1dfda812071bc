"""The visual world that nano learns to see in: its scripts keep their promises and its pictures show what they say."""

from __future__ import annotations

import ast
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import training.sight
from training.sight import COLOURS, KINDS, LEAST_TICKS, draw_show
from training.sight.canvas import SIZE, Camera, Canvas
from training.sight.colours import BASE, apart, shade
from training.sight.film import Film, draw_setting
from training.sight.hand import NUMBERS, Hand, fingers
from training.sight.repetitions import EXERCISES, Athlete, Bouncer, Hammer, Mover, Pendulum
from training.sight.things import Look

SEEDS = range(12)


def _movers() -> list[Mover]:
    rng = random.Random(4)
    athletes = [Athlete.drawn(rng, 4 / 3, exercise) for exercise in EXERCISES]
    return [*athletes, Bouncer.drawn(rng, 4 / 3), Pendulum.drawn(rng, 4 / 3), Hammer.drawn(rng, 4 / 3)]


def _pixels(mover: Mover, phase: float) -> np.ndarray:
    image = Image.new("RGB", SIZE, (90, 120, 90))
    mover.draw(Canvas(image, Camera(4 / 3)), phase)
    return np.asarray(image, dtype=np.int16)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_pixels(kind: str) -> None:
    def taken() -> list[tuple[int, bytes]]:
        rng = random.Random(3)
        return [(tick, picture.tobytes()) for tick, picture in draw_show(rng, 40, kind, 10).pictures(rng)]

    assert taken() == taken()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_pictures_are_the_encoders_and_marks_lie_where_they_can_be_seen(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    ticks = rng.randint(LEAST_TICKS, 150)
    begin = rng.randint(0, ticks - LEAST_TICKS)
    show = draw_show(rng, ticks, kind, begin)
    assert show.marks and list(show.marks) == sorted(show.marks)
    assert all(begin <= mark and show.seen(mark) < ticks for mark in show.marks)
    pictures = show.pictures(rng, first=begin, last=begin + 6)
    assert [tick for tick, _ in pictures] == [t for t in range(begin, begin + 6) if t % show.every == 0]
    assert all(picture.shape == (80, 120, 3) and picture.dtype == np.uint8 for _, picture in pictures)


def test_a_show_that_has_no_room_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no room in 20 ticks"):
        draw_show(random.Random(0), 20, "hand", 6)
    with pytest.raises(ValueError, match="'film' is no kind"):
        draw_show(random.Random(0), 90, "film", 6)


@pytest.mark.parametrize("mover", _movers(), ids=lambda mover: type(mover).__name__)
def test_a_repetition_goes_away_from_rest_and_comes_back(mover: Mover) -> None:
    rest = _pixels(mover, 0.0)
    assert (_pixels(mover, 1 - 1e-9) != rest).mean() < 0.005
    assert max((_pixels(mover, phase) != rest).any(axis=2).mean() for phase in (0.25, 0.5)) > 0.004


@pytest.mark.parametrize("seed", SEEDS)
def test_each_repetition_is_marked_where_it_ends(seed: int) -> None:
    show = draw_show(random.Random(seed), 120, "repetitions", 20)
    scene = show.scene
    assert [stop for _, stop in scene.spans] == list(show.marks)
    for start, stop in scene.spans:
        assert 3.5 <= stop - start <= 11.0  # 0.8 to 2 s, give or take
        assert scene.phase((start + stop) / 2) == pytest.approx(0.5)
        assert scene.phase(stop - 1e-6) > 0.99
    assert scene.phase(0.0) == scene.phase(119.9) == 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_an_action_is_drawn_in_motion_between_its_marks_alone(seed: int) -> None:
    show = draw_show(random.Random(seed), 120, "action", 20)

    def drawn(at: float) -> bytes:
        image = Image.new("RGB", SIZE)
        show.scene.draw(Canvas(image, Camera(show.setting.aspect)), at)
        return image.tobytes()

    begin, end = show.marks[:2]
    assert drawn(0.0) == drawn(begin - 0.01)
    assert len({drawn(begin + moment) for moment in (0.5, 1.3, 2.2, 3.1, 4.4)}) > 1
    assert drawn(end + 0.01) == drawn(end + 7.9)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_colour_is_seen_from_its_mark_on_and_not_before(seed: int) -> None:
    show = draw_show(random.Random(seed), 120, "appears", 20)
    (mark,) = show.marks
    assert show.words[0] == show.label in COLOURS
    assert [event.begin for event in show.events if event.label == show.label] == [mark]
    tick = show.seen(mark)
    assert show.label in {event.label for event in show.at(tick)}
    assert show.label not in {event.label for event in show.at(tick - show.every)}


@pytest.mark.parametrize("colour", COLOURS)
def test_shades_of_a_colour_are_nearest_to_their_own_name(colour: str) -> None:
    rng = random.Random(colour)
    for _ in range(300):
        drawn = shade(rng, colour)
        assert min(BASE, key=lambda name: apart(BASE[name], drawn)) == colour


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_survive_light_noise_and_jpeg(colour: str) -> None:
    rng = random.Random(colour)
    named: Counter[str] = Counter()
    for _ in range(30):
        look = Look("square", shade(rng, colour), 0.35, 0.0, shaded=False)
        setting = draw_setting(rng, 1.5, (look.colour,), hidden=False)
        picture = Film(setting, rng).take(lambda canvas, look=look: look.draw(canvas, (0.75, 0.5)))
        red, green, blue = (round(float(value)) for value in picture[32:48, 52:68].mean(axis=(0, 1)))
        named[min(BASE, key=lambda name: apart(BASE[name], (red, green, blue)))] += 1
    assert named[colour] >= 21, named


@pytest.mark.parametrize("number", NUMBERS)
def test_a_hand_that_shows_more_fingers_reaches_as_often_out_of_its_palm(number: int) -> None:
    rng = random.Random(number)
    for _ in range(20):
        stretched = fingers(rng, number)
        assert len(set(stretched)) == number
        assert _tips(stretched) == number


def _tips(stretched: tuple[int, ...]) -> int:
    """How many separate pieces of skin lie on an arc around the palm, beyond every knuckle."""
    hand = Hand((0.75, 0.95), 0.9, 0.0, False, 0.05, 1.2, (250, 220, 196), (0, 0, 250))
    image = Image.new("RGB", SIZE)
    hand.draw(Canvas(image, Camera(1.5)), stretched)
    around = np.linspace(-0.55, 1.25, 600) * np.pi / 2  # from beyond the thumb to beyond the little finger
    columns = (0.75 - 0.37 * 0.9 * np.sin(around[::-1])) / 1.5 * SIZE[0]
    rows = (0.95 - 0.27 - 0.40 * 0.9 * np.cos(around[::-1])) * SIZE[1]
    skin = np.asarray(image)[rows.astype(int), columns.astype(int), 0] > 128
    return int((np.diff(skin.astype(np.int8)) == 1).sum() + skin[0])


def test_training_sees_nothing_of_the_evaluation() -> None:
    for path in Path(training.sight.__file__).parent.glob("*.py"):
        imported = [
            name
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else []
            )
        ]
        assert not [name for name in imported if name.startswith(("infra", "tests"))], path
