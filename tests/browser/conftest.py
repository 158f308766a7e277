"""A headless browser, driven by Playwright, and a monitor with a token: every page is met by logging in."""

import functools
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.install import browser as installed_browser
from tests.conftest import MonitorProcess

TOKEN = "a-browser-logs-in-with-this-token"

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
def monitor_process(
    monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch
) -> MonitorProcess:
    """A monitor that asks for a token, which the clients of this test hold."""
    monitor_process.token = TOKEN
    monkeypatch.setenv("CUSP_TOKEN", TOKEN)
    return monitor_process


def log_in(page: Page, token: str = TOKEN) -> None:
    """Fill in and send the form that the page shows, as a person does."""
    form = page.locator("form#login")
    form.get_by_label("Token").fill(token)
    with page.expect_navigation():
        form.get_by_role("button", name="Log in").click()


def as_a_person(page: Page) -> Page:
    """Return the page, which now logs in wherever it is asked to: the address asked for is shown then."""
    go = page.goto

    @functools.wraps(go)
    def goto(url: str, **options: Any) -> Any:
        answer = go(url, **options)
        if page.locator("form#login").count():
            log_in(page)
        return answer

    page.goto = goto  # type: ignore[method-assign]
    return page


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page whose script errors fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = as_a_person(context.new_page())
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


@pytest.fixture
def patience() -> Iterator[None]:
    """A dozen pages on two busy cores take their time; what is waited for is not how long it takes."""
    expect.set_options(timeout=30_000)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of its own, for several pages, which waits as long as `patience` says."""
    it = browser.new_context(viewport={"width": 1280, "height": 900})
    it.set_default_timeout(30_000)
    yield it
    it.close()
