"""Takes a picture of a page with the tests' browser, to look at what was built.

python -m tests.browser.screenshot http://127.0.0.1:8787/runs/01J... run.png [--width 390] [--scheme dark]

tests/browser/screenshots.py takes those of all states.
"""

import argparse

from playwright.sync_api import sync_playwright

from tests.browser.conftest import FLAGS
from tests.browser.install import browser

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("file")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=1340)
    parser.add_argument("--scheme", choices=["light", "dark"], default="light")
    parser.add_argument("--whole", action="store_true", help="the whole page, however long")
    given = parser.parse_args()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser(), args=FLAGS)
        page = started.new_page(
            viewport={"width": given.width, "height": given.height}, color_scheme=given.scheme
        )
        page.goto(given.url)
        page.wait_for_timeout(2_500)  # live pages never fall silent; charts need a moment
        page.screenshot(path=given.file, full_page=given.whole)
        started.close()
