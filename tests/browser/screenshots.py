"""Takes a picture of every page and state, 1440 and 390 pixels wide, light and dark, to be looked at one by one.

python -m tests.browser.screenshots [FOLDER] [--only live,stopped] [--width 390] [--scheme dark] [--images]

The runs are played to a real monitor (`tests/browser/states/`): curves and held-out scores of the zoo, verified,
proposed, stopped and scored over the protocol. FOLDER (default: screenshots) gets STATE-WIDTH-SCHEME.png, the whole
page. `--images` writes the few first screens that the README shows to docs/images/ instead, with 256 colours each.
"""

import argparse
import itertools
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import FLAGS, as_a_person
from tests.browser.install import browser as installed_browser
from tests.browser.states import world
from tests.browser.states.world import World

DOCS_IMAGES = Path(__file__).parents[2] / "docs" / "images"
WIDTHS = {1440: 900, 390: 844}  # width: height of the first screen
SCHEMES = ("light", "dark")
BEFORE = {"empty": "/", "projects-empty": "/projects", "jobs-empty": "/jobs"}
AFTER = {
    "table": "/",
    "table-grouped": "/?group=seed&column=max%3Aaccuracy_reward",
    "projects": "/projects",
    "jobs": "/jobs",
    "settings": "/settings",
    "tokens": "/tokens",
    "webhooks": "/webhooks",
    "api": "/docs",
    "compare-nothing": "/compare",
    "not-found": "/runs/01J00000000000000000000000",
}
LARGE = {
    "table-500": "/?project=sweep",
    "table-500-by-rate": "/?project=sweep&group=grpo.learning_rate",
}
IMAGES = {
    "run.png": ("stopped", 1440, "light"),
    "table.png": ("table", 1440, "light"),
    "proposed.png": ("proposed", 1440, "dark"),
    "phone.png": ("stopped", 390, "light"),
}  # in docs/images: state, width, scheme
READY = "() => [...document.querySelectorAll('#charts, .compare-chart')].every((chart) => chart.hidden || chart.data)"
DRAWN = f"() => ({READY})() && !document.querySelector('#swagger:not(:has(.opblock))')"
SETTLED = """() => !document.querySelector('article#run[data-cursor], #runs[data-cursor]')
    || (document.querySelector('#live')?.dataset.state ?? 'on') === 'on'
    && ![...document.querySelectorAll('[data-f=last_contact]')].some((one) => one.textContent.includes('UTC'))"""


class View(NamedTuple):
    """A browser window that is logged in."""

    width: int
    scheme: str
    page: Page


def views(browser: Browser, widths: list[int], schemes: list[str]) -> list[View]:
    """Return a window of each width and scheme."""
    found = []
    for width, scheme in itertools.product(widths, schemes):
        size = {"width": width, "height": WIDTHS.get(width, 900)}
        context = browser.new_context(
            viewport=size,  # type: ignore[arg-type]  # a TypedDict
            color_scheme=scheme,  # type: ignore[arg-type]  # a Literal
            reduced_motion="reduce",
        )
        found.append(View(width, scheme, as_a_person(context.new_page())))
    return found


def states(made: World) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield pages by state, each time after the monitor was told more: nothing, a run of each state, 500 runs."""
    yield "nothing", BEFORE
    world.fill(made)
    yield "a run of each state", made.paths | AFTER
    world.many(made, 500)
    yield "500 runs", LARGE


def taken(view: View, made: World, path: str, file: Path, *, whole: bool = True) -> None:
    """Take the picture of one page."""
    made.heard()
    view.page.goto(made.address(path))
    view.page.wait_for_function(DRAWN)
    view.page.wait_for_function(SETTLED)
    view.page.screenshot(path=file, full_page=whole, animations="disabled")


def login(view: View, made: World, file: Path) -> None:
    """Take the picture of the page to log in on, as somebody sees who is not logged in."""
    view.page.context.clear_cookies()
    page = view.page.context.new_page()
    page.goto(f"{made.served.url}/")
    expect(page.locator("form#login")).to_be_visible()
    page.screenshot(path=file)
    page.close()


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("screenshots"))
    parser.add_argument("--only", help="states, by comma")
    parser.add_argument("--width", type=int, action="append", help="default: 1440 and 390")
    parser.add_argument("--scheme", choices=SCHEMES, action="append", help="default: both")
    parser.add_argument("--images", action="store_true", help="those of docs/images, nothing else")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as place,
        world.opened(Path(place)) as made,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=installed_browser(), args=FLAGS)
        if given.images:
            images(browser, made)
        else:
            only = set(given.only.split(",")) if given.only else None
            windows = views(browser, given.width or list(WIDTHS), given.scheme or list(SCHEMES))
            pictures(windows, made, given.folder, only)
        browser.close()


def pictures(windows: list[View], made: World, folder: Path, only: set[str] | None) -> None:
    """Take the pictures of the states asked for, all if `only` is None."""
    folder.mkdir(parents=True, exist_ok=True)
    for told, pages in states(made):
        print(f"told of: {told}", flush=True)
        for state, path in pages.items():
            for view in windows if only is None or state in only else []:
                file = folder / f"{state}-{view.width}-{view.scheme}.png"
                taken(view, made, path, file)
                print(file, flush=True)
    for view in windows if only is None or "login" in only else []:
        login(view, made, folder / f"login-{view.width}-{view.scheme}.png")


def images(browser: Browser, made: World) -> None:
    """Write the first screens that the README shows, with few colours: they are looked at over a network."""
    world.fill(made)
    pages = made.paths | AFTER
    for name, (state, width, scheme) in IMAGES.items():
        (view,) = views(browser, [width], [scheme])
        file = DOCS_IMAGES / name
        taken(view, made, pages[state], file, whole=False)
        with Image.open(file) as picture:
            few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(file, optimize=True)
        print(f"{file}: {file.stat().st_size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
