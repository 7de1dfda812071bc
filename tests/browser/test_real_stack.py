"""The web page on the whole pipeline with the released model: a recording into the microphone, decisions out."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from infra.demo.stack import running_stack
from tests.browser.conftest import FLAGS

pytestmark = [pytest.mark.browser, pytest.mark.model]
ROOT = Path(__file__).parents[2]
WAV = ROOT / "tests" / "fixtures" / "demo.wav"


@pytest.mark.skipif(not (ROOT / "models" / "nano" / "config.json").exists(), reason="no released weights")
async def test_a_spoken_recording_is_answered_on_the_page() -> None:
    told: list[str] = []
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    async with running_stack("nano", told.append, in_memory=True) as address, async_playwright() as playwright:
        args = [*FLAGS, f"--use-file-for-fake-audio-capture={WAV}%noloop"]
        browser = await playwright.chromium.launch(executable_path=executable, args=args)
        try:
            page = await browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
            await page.goto(address)
            await page.click("#start")
            await page.wait_for_selector("#lane-model .cell[data-tick='75']", timeout=60_000)
            if os.environ.get("SCREENSHOT"):
                await page.screenshot(path=ROOT / "docs" / "images" / "web.png")
            ticks = await page.eval_on_selector_all("#lane-model .cell", "all => all.map(n => Number(n.dataset.tick))")
            floors = await page.eval_on_selector_all("#lane-model .cell", "all => all.map(n => n.dataset.floor)")
            said = await page.eval_on_selector_all("#lane-model .word.said", "all => all.map(n => n.textContent)")
            shown = await page.eval_on_selector_all("#errors .fatal", "all => all.map(n => n.textContent)")
        finally:
            await browser.close()
    assert ticks == list(range(len(ticks))), json.dumps(ticks)
    assert "take" in floors
    assert said, "the model has answered"
    assert shown == []
