"""A browser for the page, and pages in it that may ask nobody but where they came from."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Playwright, Request, expect

from attend.attention.trace import Trace
from attend.show.page import page as html

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# Other programs of this machine may keep the processor for a while.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Debian's Chromium, or the one that ATTEND_CHROMIUM names; without one these tests are skipped."""
    path = os.environ.get("ATTEND_CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.skip("there is no Chromium here: install Debian's chromium, or name one in ATTEND_CHROMIUM")
    return {"executable_path": path, "args": ARGUMENTS}


@pytest.fixture(scope="session")
def browsers(browser_type_launch_args: dict[str, Any], playwright: Playwright) -> Iterator[list[Browser]]:
    """Those that were started; the last one is in use."""
    started: list[Browser] = []
    yield started
    for browser in started:
        browser.close()


@pytest.fixture
def browser(browsers: list[Browser], browser_type_launch_args: dict[str, Any], playwright: Playwright) -> Browser:
    """One for all tests; a new one if it has gone, so that what ended it costs one test and not all the others."""
    if not browsers or not browsers[-1].is_connected():
        browsers.append(playwright.chromium.launch(**browser_type_launch_args))
    return browsers[-1]


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, Any]:
    return {"viewport": {"width": 1280, "height": 900}, "accept_downloads": True}


@pytest.fixture
def tab(page: Page) -> Iterator[Page]:
    """A page that must say nothing on its console, fail in nothing, and ask nobody but where it came from."""
    wrong: list[str] = []
    asked: list[Request] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request))
    page.set_default_timeout(PATIENCE)
    yield page
    home = urlsplit(page.url)
    for request in asked:
        place = urlsplit(request.url)
        same = (place.scheme, place.netloc) == (home.scheme, home.netloc)
        assert same or place.scheme in ("data", "blob"), f"the page asked for {request.url}"
    assert wrong == []


@pytest.fixture
def opened(tab: Page, tmp_path: Path) -> Callable[..., Page]:
    """Opens traces as a file, with the network off, showing what the address says."""

    def open_traces(*traces: Trace, address: str = "") -> Page:
        # A file of its own each time: with another address alone a page is not loaded anew.
        path = tmp_path / f"page-{len(list(tmp_path.iterdir()))}.html"
        path.write_text(html(traces, "Traces"), encoding="utf-8")
        tab.context.set_offline(True)
        tab.goto(f"{path.as_uri()}#{address}")
        return tab

    return open_traces
