"""The web page in a real browser, against the real capture; its turns come from a script on the topics."""

from __future__ import annotations

import json
import math
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import msgpack
import numpy as np
import pytest

from schemas import records as r
from services.capture.web import HEADERS
from tests.browser.conftest import OpenPage
from tests.browser.relay import Relay
from tests.capture.conftest import Running, running_capture, turn_for

pytestmark = pytest.mark.browser
SCREENSHOT = Path(__file__).parents[2] / "docs" / "images" / "web.png"

HEARD = {3: " what", 4: " is", 5: " the", 6: " time", 7: " in Lisbon"}
SAID = {
    10: " one",
    11: " moment",
    20: " it",
    21: " is",
    22: " half",
    23: " past",
    24: " nine",
    25: " in",
    26: " Lisbon",
}
BACKCHANNEL, YIELD, MINDED = 6, 27, 15
TASK = "task-1"


@pytest.fixture
async def capture() -> AsyncIterator[Running]:
    async with running_capture(capture_resume_grace_s=5.0) as running:
        running.topics.make_turn = scripted
        yield running


def tone(tick: int) -> bytes:
    """4800 samples at 24 kHz of a tone that goes on from tick to tick."""
    t = np.arange(4800) / 24_000 + tick * 0.2
    return (3000 * np.sin(2 * math.pi * 330 * t)).astype("<i2").tobytes()


def scripted(frame: r.CaptureFrame) -> r.InteractionTurn:
    """A conversation: heard words, a backchannel, a delegation, an answer that is interrupted."""
    tick = frame.tick
    said = SAID.get(tick, "")
    floor = r.Floor.TAKE if said else r.Floor.HOLD
    if tick == BACKCHANNEL:
        floor, said = r.Floor.BACKCHANNEL, " mhm"
    if tick == YIELD:
        floor = r.Floor.YIELD
    user = r.UserActivity.SILENT
    if 2 <= tick < 8 or tick in (26, 27, 28):
        user = r.UserActivity.SPEAKING
    if tick == 8:
        user = r.UserActivity.ENDED
    names = {9: "delegated", 20: "weave_started", 26: "weave_finished"}
    events = [r.TurnEvent(name=names[tick], task_id=TASK)] if tick in names else []
    if tick == MINDED:
        events = [r.TurnEvent(name="ui", data={"standing_task": "timer 5", "word": "tea"})]
    return turn_for(
        frame,
        floor=floor,
        user=user,
        text=said,
        user_text=HEARD.get(tick, ""),
        events=events,
        audio=tone(tick) if said else None,
    )


async def send_results(capture: Running, session_id: str, start_ms: int) -> None:
    steps = [
        (r.ResultKind.PROGRESS, "looking at the clock"),
        (r.ResultKind.PARTIAL, "It is half past"),
        (r.ResultKind.PARTIAL, " nine"),
        (r.ResultKind.FINAL, "It is half past nine in Lisbon."),
    ]
    for seq, (kind, text) in enumerate(steps):
        record = r.BackgroundResult(
            session_id=session_id, timestamp_ms=start_ms + 2000, task_id=TASK, seq=seq, kind=kind, text=text
        )
        await capture.topics.send(record)


async def test_both_lanes_are_drawn_tick_by_tick(capture: Running, open_page: OpenPage) -> None:
    page = await open_page(capture.url, color_scheme="light")
    await page.click("#start")
    await page.wait_for_selector("#lane-model .cell[data-tick='12']")
    session_id = await page.text_content("#session") or ""
    frames = await capture.topics.frames(session_id)
    await send_results(capture, session_id, frames[0].timestamp_ms)
    await page.fill("#text", "and what day is it?")
    await page.press("#text", "Enter")
    await page.wait_for_selector("#lane-model .cell[data-tick='32']")
    if os.environ.get("SCREENSHOT"):
        SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=SCREENSHOT)

    for lane in ("user", "model"):
        ticks = await page.eval_on_selector_all(f"#lane-{lane} .cell", "all => all.map(n => Number(n.dataset.tick))")
        assert ticks[:33] == list(range(33)), "each tick once, in order"
    floors = await page.eval_on_selector_all("#lane-model .cell", "all => all.map(n => n.dataset.floor)")
    assert floors[:33] == [scripted(frame).floor for frame in (await capture.topics.frames(session_id))[:33]]
    heard = await page.eval_on_selector_all("#lane-user .word.heard", "all => all.map(n => n.textContent)")
    assert heard == ["what", "is", "the", "time", "in", "Lisbon"]
    said = await page.eval_on_selector_all("#lane-model .word.said", "all => all.map(n => n.textContent)")
    assert " ".join(said) == "mhm one moment it is half past nine in Lisbon"
    assert await page.locator("#lane-user .user-ended").count() == 1
    task = page.locator(f"#lane-background [data-task='{TASK}']")
    assert await task.inner_text() == "It is half past nine in Lisbon."
    assert "final" in (await task.get_attribute("class") or "")
    assert await page.locator("#lane-model .flag").count() == 4
    assert await page.locator("#lane-model .flag.ui").get_attribute("title") == "ui: standing task timer 5, word tea"
    assert await page.inner_text("#mind") == "timer 5: “tea”"

    assert await page.inner_text("#state") == "live"
    median, worst = (int(part) for part in (await page.inner_text("#latency")).removesuffix(" ms").split(" / "))
    assert 0 <= median <= worst
    roles = await page.eval_on_selector_all("#transcript li", "all => all.map(n => [n.dataset.role, n.textContent])")
    assert ["you", "what is the time in Lisbon"] in roles
    assert ["typed", "and what day is it?"] in roles
    assert ["background", "It is half past nine in Lisbon."] in roles
    assert ["model", "it is half past nine in Lisbon"] in roles


async def test_what_is_spoken_and_typed_reaches_the_log_and_the_answer_is_played(
    capture: Running, open_page: OpenPage
) -> None:
    page = await open_page(capture.url)
    await page.click("#start")
    await page.wait_for_selector("#lane-model .cell[data-tick='14']")
    await page.fill("#text", "hello from the page")
    await page.click("#send")
    await page.wait_for_selector("#lane-model .cell[data-tick='24']")
    session_id = await page.text_content("#session") or ""
    frames = await capture.topics.frames(session_id)
    assert "hello from the page" in [frame.text for frame in frames]
    whole = [frame for frame in frames[2:] if frame.gap_ms == 0]
    assert len(whole) >= 15, "the microphone is heard without gaps"
    loudest = max(np.abs(np.frombuffer(frame.audio, "<i2").astype(int)).max() for frame in frames)
    assert loudest > 1_000, "it is the spoken file, not silence"
    bars = await page.eval_on_selector_all("#lane-user .bar", "all => all.map(n => n.offsetHeight)")
    assert max(bars) > 15, "the level is drawn"
    played_s = float((await page.inner_text("#played")).removesuffix(" s"))
    assert 0.6 <= played_s <= 1.8

    await page.click("#start")  # now "Stop"
    await page.wait_for_selector("#state[data-state='ended']")
    ended = (await capture.topics.until_control(session_id, 2))[-1]
    assert ended.reason == "bye"
    assert ended.ticks == len(await capture.topics.frames(session_id))


async def test_a_broken_connection_is_resumed_without_a_missing_tick(capture: Running, open_page: OpenPage) -> None:
    address = urlsplit(capture.url)
    async with Relay(address.hostname or "", address.port or 0) as relay:
        page = await open_page(relay.url)
        await page.click("#start")
        await page.wait_for_selector("#lane-model .cell[data-tick='4']")
        before = relay.accepted
        relay.cut()
        await page.wait_for_selector("#lane-model .cell[data-tick='10']")
        ticks = await page.eval_on_selector_all("#lane-model .cell", "all => all.map(n => Number(n.dataset.tick))")
        assert ticks[:11] == list(range(11))
        assert relay.accepted > before, "it connected again"


async def test_a_refusal_is_shown(open_page: OpenPage) -> None:
    async with running_capture(capture_tokens="sesame") as capture:
        page = await open_page(capture.url)
        await page.click("#start")
        await page.wait_for_selector(".error.fatal")
        assert "bad token" in await page.inner_text(".error.fatal")
        await page.wait_for_selector("#state[data-state='ended']")  # the close follows the error
        await page.click("summary")
        await page.fill("#token", "sesame")
        await page.click("#start")
        await page.wait_for_selector("#state[data-state='live']")


async def test_without_a_microphone_one_can_type(capture: Running, open_page: OpenPage) -> None:
    page = await open_page(capture.url)
    await page.evaluate(
        "() => { const refuse = () => Promise.reject(new DOMException('no', 'NotAllowedError'));"
        " navigator.mediaDevices.getUserMedia = refuse; }"
    )
    await page.click("#start")
    await page.wait_for_selector(".error[data-code='no_microphone']")
    await page.fill("#text", "only typed")
    await page.press("#text", "Enter")
    await page.wait_for_selector("#lane-user .cell.gap[data-tick='5']")
    frames = await capture.topics.frames(await page.text_content("#session") or "")
    assert "only typed" in [frame.text for frame in frames]


async def test_the_camera_sends_pictures(capture: Running, open_page: OpenPage) -> None:
    page = await open_page(capture.url)
    await page.click("label:has(#camera)")
    await page.click("#start")
    await page.wait_for_selector("#lane-model .cell[data-tick='12']")
    frames = await capture.topics.frames(await page.text_content("#session") or "")
    pictures = [image for frame in frames for image in frame.images]
    assert 2 <= len(pictures) <= 6, "two a second"
    assert all(picture.jpeg.startswith(b"\xff\xd8") for picture in pictures)


VALUES = [
    None, True, False, 0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 1_795_478_314_200, 2**53 - 1,
    -1, -32, -33, -128, -129, -70_000, -(2**40), 0.5, -1e300, "", "a", "ü" * 20, "x" * 40, "y" * 300, "z" * 70_000,
    [], [1, [2, [3]]], list(range(20)), list(range(70_000)), {}, {"a": 1, "b": {"c": [None]}},
    {str(n): n for n in range(40)},
]  # fmt: skip


async def test_messagepack_is_the_one_that_everybody_speaks(capture: Running, open_page: OpenPage) -> None:
    page = await open_page(capture.url)
    await page.evaluate("async () => { window.pack = await import('/static/msgpack.js'); }")
    binaries = [b"", b"\x00\xff", bytes(300), bytes(70_000)]
    for value in [*VALUES, *binaries, {"type": "audio", "pcm": bytes(640)}]:
        packed = list(msgpack.packb(value))
        again = await page.evaluate(
            "(bytes) => Array.from(window.pack.encode(window.pack.decode(new Uint8Array(bytes))))", packed
        )
        assert msgpack.unpackb(bytes(again)) == value
        if not isinstance(value, (bytes, dict)):
            assert await page.evaluate("(b) => window.pack.decode(new Uint8Array(b))", packed) == value
    for value in [v for v in VALUES if not isinstance(v, float)]:
        encoded = await page.evaluate("(json) => Array.from(window.pack.encode(JSON.parse(json)))", json.dumps(value))
        assert msgpack.unpackb(bytes(encoded)) == value
    for broken in (b"", b"\xa5ab", b"\x92\x01", b"\xc1", b"\x01\x02", b"\xd4\x01\x02"):
        failed = await page.evaluate(
            "(b) => { try { window.pack.decode(new Uint8Array(b)); return false; } catch { return true; } }",
            list(broken),
        )
        assert failed, broken


async def test_the_page_may_load_nothing_from_elsewhere(capture: Running, open_page: OpenPage) -> None:
    page = await open_page(capture.url)
    for path in ("/", "/static/app.js", "/health/live", "/metrics"):
        response = await page.request.get(capture.url + path)
        assert response.ok
        assert response.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    ready = await page.request.get(capture.url + "/health/ready")
    assert (ready.status, await ready.text()) == (200, "ready\n")
    metrics = await (await page.request.get(capture.url + "/metrics")).text()
    assert "microturn_sessions_open" in metrics
