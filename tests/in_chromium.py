"""A page as a reader meets it, in Debian's chromium by playwright: what the tests of both pages share."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install mtbkd[dev]")
MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path: install it to see pages rendered"),
]
WIDE, PHONE = {"width": 1100, "height": 900}, {"width": 390, "height": 844}
# What sticks out of the window to the right.
CUT_OFF = """
() => [...document.querySelectorAll("body *:not(svg *)")]
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest("pre"))
  .map(e => e.className || e.tagName)
"""
# What a page may ask for besides itself: what it carries along.
CARRIED = ("data:image/png;base64", "data:text/csv;base64")


@pytest.fixture(scope="module")  # while one runs, no other playwright can begin
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def windows(browser: Any, address: str, also: tuple[str, ...] = ()) -> Iterator[Callable[..., Any]]:
    """Opens the page in a window of its own: `open_page(viewport, scheme)`; fails at the end where it complained or
    asked for anything but itself, what it carries along, and addresses that begin with one of `also`."""
    contexts, complaints, asked = [], [], []

    def open_page(viewport: dict[str, int] = WIDE, scheme: str = "light") -> Any:
        context = browser.new_context(viewport=viewport, color_scheme=scheme, accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith((address, *CARRIED, *also))] == []
