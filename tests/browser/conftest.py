"""A headless browser, driven by Playwright."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.install import browser as installed_browser

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of this machine; a test without one fails, it is not skipped.

    Not for the whole session: Playwright runs an event loop as long as it is open, and tests that
    come later bring their own.
    """
    path = installed_browser()
    assert path, "no browser here; `make browser` installs one"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page whose script errors fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console",
        # A monitor that a test kills leaves network errors behind; those are not the page's.
        lambda message: (
            errors.append(message.text)
            if message.type == "error" and "net::ERR_" not in message.text
            else None
        ),
    )
    yield opened
    context.close()
    assert not errors
