"""Every page and state against WCAG 2.2 AA by axe-core: light and dark, and as narrow as a phone's, where nothing
may scroll sideways.

Nothing is left out: Swagger UI on /docs is held to the same, with our colours and names. One server, one log-in, one
page that goes from address to address. In the dark and on a phone only the rules are asked again that look at colours
or places. Of the states of AGAIN what they share with other states is not looked at again: charts, and the narrow page.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import as_a_person
from tests.browser.screenshots import AFTER, BEFORE, DRAWN
from tests.browser.states import world
from tests.browser.states.world import World

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OF_COLOUR = ["color-contrast", "link-in-text-block"]
OF_PLACE = ["target-size", "scrollable-region-focusable"]
OPEN = "(which) => document.querySelectorAll(which).forEach((one) => { one.open = true })"
AGAIN = {
    "healthy",
    "failed",
    "suspected",
    "verified",
    "stopping",
    "warming-up",
    "lost",
    "deleted",
    "stopped-2",
}
SHARED = {"exclude": [["#charts"], ["#others"]]}
FITS = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 360, "height": 800}


class Looked:
    """A page that is looked at; `found` has the barriers by state and view."""

    def __init__(self, page: Page, made: World) -> None:
        self.page, self.made = page, made
        self.found: dict[str, list[Any]] = {}

    def look(self, states: Mapping[str, str]) -> None:
        """Look at each state in each view."""
        for state, path in states.items():
            self.page.set_viewport_size(WIDE)  # type: ignore[arg-type]  # a TypedDict
            self.page.emulate_media(color_scheme="light")
            self.page.goto(self.made.address(path))
            again = SHARED if state in AGAIN else None
            if again is None:
                self.page.wait_for_function(DRAWN)
            # The small charts are drawn once they are opened: for one run.
            self.page.evaluate(
                OPEN, "main details" + ("" if state == "stopped" else ":not(#others)")
            )
            self.barriers(f"{state}, light", TAGS, again)
            self.page.emulate_media(color_scheme="dark")
            self.barriers(f"{state}, dark", OF_COLOUR, again)
            if again is None:
                self.page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # a TypedDict
                self.barriers(f"{state}, narrow", OF_PLACE)
                self.page.wait_for_function(FITS)  # once the charts follow

    def dialog(self, path: str, opener: str) -> None:
        """Look at a dialog, open, in both schemes."""
        self.page.set_viewport_size(WIDE)  # type: ignore[arg-type]  # a TypedDict
        self.page.goto(self.made.address(path))
        self.page.wait_for_selector("#live[data-state=on]")
        self.page.locator(opener).first.click()
        expect(self.page.locator("dialog[open]")).to_be_visible()
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            self.barriers(f"{opener}, {scheme}", TAGS if scheme == "light" else OF_COLOUR)

    def barriers(
        self, view: str, rules: list[str], within: Mapping[str, Any] | None = None
    ) -> None:
        """Note what axe-core finds: the rule, and where."""
        options = {"runOnly": rules, "resultTypes": ["violations"]}
        for one in Axe().run(self.page, within, options).response["violations"]:
            self.found.setdefault(view, []).append(
                (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
            )


@pytest.fixture
def looked(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looked]:
    with world.opened(tmp_path_factory.mktemp("barriers")) as made:
        context = browser.new_context(reduced_motion="reduce")
        context.set_default_timeout(120_000)  # what is waited for is not how long it takes
        yield Looked(as_a_person(context.new_page()), made)
        context.close()


@pytest.mark.timeout(600)
def test_axe_finds_no_barrier_on_any_page_in_any_state(looked: Looked) -> None:
    looked.page.goto(f"{looked.made.served.url}/login")
    looked.barriers("login", TAGS)
    looked.look(BEFORE)
    world.fill(looked.made)
    looked.look(looked.made.paths | AFTER)
    for opener in ("[data-action=stop]", "[data-action=promote]", "[data-action=describe]"):
        looked.dialog(looked.made.paths["proposed"], opener)
    for opener in ("[data-table=help]", "[data-table=columns]"):
        looked.dialog("/", opener)
    assert looked.found == {}
