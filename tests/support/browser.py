"""Debian's chromium, led by Playwright; what it complains of is an error."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.support.page import Stage, open_page, play

WIDE, NARROW = (1180, 800), (390, 844)
_HARMLESS = ("Failed to load resource: the server responded with a status of 4", "Response Status Error Code 4")

_PATIENCE = 20_000  # milliseconds: a machine may be busy


def chromium() -> str | None:
    """The program, where it is installed."""
    return shutil.which("chromium")


@contextmanager
def open_browser() -> Iterator[Browser]:
    program = chromium()
    assert program
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])  # CI is root
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(
    browser: Browser, stage: Stage, who: str, *, size: tuple[int, int] = WIDE, dark: bool = False, **more: Any
) -> Iterator[Page]:
    """A tab in which somebody has logged in; ends with what the browser complained of, which has to be nothing."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        base_url=stage.url,
        **more,
    )
    page = context.new_page()
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_HARMLESS):
            complaints.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda problem: complaints.append(str(problem)))
    page.set_default_timeout(_PATIENCE)
    expect.set_options(timeout=_PATIENCE)
    page.goto("/login")
    page.fill("#key", stage.tokens[who])
    page.click("main button")
    yield page
    context.close()
    assert not complaints, complaints


def take_screenshots(folder: Path, into: Path) -> None:
    """The pictures of the README."""
    with open_page(folder) as stage, open_browser() as browser:
        play(stage.reference)
        with tab(browser, stage, "grace", size=(900, 560)) as page:
            page.goto("/")
            page.check("input[value='5']")
            page.check("input[value='7']")
            page.mouse.move(0, 0)
            page.wait_for_timeout(500)  # a tick is drawn slowly
            page.screenshot(path=into / "queue.png")
            page.set_viewport_size({"width": 900, "height": 900})
            page.goto("/changes/5")
            page.screenshot(path=into / "change.png")


if __name__ == "__main__":  # python -m tests.support.browser
    import tempfile

    import refsync.http.page

    with tempfile.TemporaryDirectory() as place:
        take_screenshots(Path(place), Path(refsync.http.page.__file__).parent / "screenshots")
