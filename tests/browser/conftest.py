"""Headless Chromium with a fake microphone that plays a WAV file."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.async_api import Browser, Page, async_playwright

from tests.saying import say

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]


@pytest.fixture(scope="session")
def speech_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few seconds of speech at 48 kHz, as the fake microphone wants it."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    spoken = np.frombuffer(say("What is the time in Lisbon?", path.parent, rate_hz=48_000), np.int16)
    soundfile.write(path, np.pad(spoken, (24_000, 48_000)), 48_000, subtype="PCM_16")
    return path


@pytest.fixture
async def chromium(speech_wav: Path) -> AsyncIterator[Browser]:
    """The machine's Chromium (``CHROMIUM``, else on PATH); the fake microphone plays ``speech_wav``."""
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.fail("no Chromium: `make tools` installs it, or set CHROMIUM=/path/to/it")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable,
            args=[*FLAGS, f"--use-file-for-fake-audio-capture={speech_wav}"],
        )
        try:
            yield browser
        finally:
            await browser.close()


OpenPage = Callable[..., Coroutine[Any, Any, Page]]


@pytest.fixture
async def open_page(chromium: Browser) -> AsyncIterator[OpenPage]:
    """Opens the page at an address; what it complains about in the console fails the test."""
    complaints: list[str] = []

    async def open_at(url: str, **options: Any) -> Page:
        context = await chromium.new_context(viewport={"width": 1280, "height": 860}, **options)
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        await page.goto(url)
        return page

    yield open_at
    assert complaints == []
