"""`bench sections` in a real browser: from pressing "Next" to where the next section can be filled
in, on a line as people have it."""

import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from dev.bench import photo
from dev.say import Problem

BITS_PER_SECOND = 10_000_000
LATENCY_MS = 20
OF_TEN_MEGABYTES = (6000, 4400)
"""Pixels of a photo as the newest phones take it."""
PATIENCE_MS = 120_000
SWITCHES = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("google-chrome")


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=SWITCHES)
        yield browser
        await browser.close()


@asynccontextmanager
async def photo_file() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portrait.jpg"
        path.write_bytes(photo.take(OF_TEN_MEGABYTES))
        yield path


async def seconds_to_next_section(browser: Browser, url: str, portrait: Path) -> float:
    """Choose the photo, press the button at once, and wait for the next section's first input.

    The cache is warm: scripts and styles are there, as they are for each section but the first.
    """
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(url)
    await page.locator("html.enhanced, html.synchronous").wait_for(state="attached")
    await _slow_down(page)
    await page.locator("#full_name").fill("Ada Lovelace")
    await page.locator("#email").fill("ada@example.org")
    await page.locator("input[type=file]").first.set_input_files(portrait)
    began = time.perf_counter()
    await page.locator("button.main").click(no_wait_after=True)
    await page.locator("#licence_number").wait_for(timeout=PATIENCE_MS)
    await page.locator("#licence_number").fill("LMFT 1")
    waited = time.perf_counter() - began
    if await page.locator("#licence_number").input_value() != "LMFT 1":
        raise Problem("bench: the next section can't be filled in")
    await context.close()
    return waited


async def _slow_down(page: Page) -> None:
    session = await page.context.new_cdp_session(page)
    bytes_per_second = BITS_PER_SECOND / 8
    conditions = {
        "offline": False,
        "latency": LATENCY_MS,
        "downloadThroughput": bytes_per_second,
        "uploadThroughput": bytes_per_second,
    }
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", conditions)
