"""A stranger's path on the running stack of docker-compose.yml: a token, a browser, a plain TRL script.

`docker/compose_stage.sh` gives this file to pytest, with the monitor's address in STACK_URL and the `.env` in
STACK_ENV_FILE; it is in no folder of the suite, which has no stack to talk to.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import FLAGS
from tests.browser.install import browser as installed_browser

ROOT = Path(__file__).parents[2]
URL = os.environ.get("STACK_URL", "")
SCRIPT = """
from pathlib import Path

import cusp
from tests.e2e.plain_trl import Bench  # a model and problems that are small enough for a test


def soft_format_reward_func(completions, **columns):
    return [0.5 * ("<" in str(one)) for one in completions]


def correctness_reward_func(completions, **columns):
    return [2.0 * (len(str(one)) % 3 == 0) for one in completions]


here = Path(__file__).parent
trainer = Bench(here / "cache").trainer(
    here / "out",
    rewards=[soft_format_reward_func, correctness_reward_func],
    max_steps=20_000,
    save_steps=10,
    run_name="a stranger's run",
)
watched = cusp.watch(trainer)
trainer.train()
print("the script goes on at", watched.kept.path, flush=True)
"""


@pytest.fixture(scope="module")
def token() -> str:
    """The token, read where `make env` has written it."""
    found = re.search(r"^CUSP_TOKEN=(.+)$", Path(os.environ["STACK_ENV_FILE"]).read_text(), re.M)
    assert found is not None
    return found[1]


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a browser that has never been here; an error of its scripts fails the test."""
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser: Browser = playwright.chromium.launch(
            executable_path=installed_browser(), args=FLAGS
        )
        opened = browser.new_page(viewport={"width": 1440, "height": 900})
        opened.on("pageerror", lambda error: errors.append(str(error)))
        yield opened
        browser.close()
    assert errors == []


def started(folder: Path, token: str) -> "subprocess.Popen[str]":
    """Start the script, with what a person sets in the shell."""
    file = folder / "train.py"
    file.write_text(SCRIPT)
    environment = {
        **os.environ,
        "CUSP_URL": URL,
        "CUSP_TOKEN": token,
        "CUSP_DIR": str(folder / "cusp"),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    with (folder / "terminal.txt").open("w") as terminal:
        return subprocess.Popen(
            [sys.executable, str(file)],
            env=environment,
            cwd=folder,
            stdout=terminal,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.mark.timeout(600)
def test_a_stranger_logs_in_sees_the_run_and_its_roles_stops_it_and_finds_what_was_kept(
    page: Page, token: str, tmp_path: Path
) -> None:
    page.goto(URL)
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.get_by_label("Token").fill("not-the-token-of-this-monitor")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert").first).to_contain_text("knows no such token")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name=re.compile("Runs"))).to_be_visible()

    script = started(tmp_path, token)
    try:
        link = page.get_by_role("link", name="a stranger's run")
        expect(link).to_be_visible(timeout=180_000)  # it comes by itself: the table is live
        link.click()
        expect(page.get_by_role("heading", name="a stranger's run")).to_be_visible()
        roles = page.locator("#section-roles")
        expect(roles).to_contain_text("soft_format_reward_func", timeout=60_000)
        expect(roles).to_contain_text("correctness_reward_func")
        expect(page.locator('[data-f="step"]').first).not_to_have_text("–", timeout=60_000)
        page.locator("table").get_by_text("present").first.wait_for(timeout=120_000)

        # What stands there came with the page; its buttons act once the scripts are there, too.
        expect(page.locator("#live")).to_have_attribute("data-state", "on", timeout=60_000)
        page.get_by_role("button", name="Stop", exact=True).click()
        page.locator("#stop-dialog input[name=reason]").fill("a stranger wants to see it stop")
        page.get_by_role("button", name="Stop the run").click()
        expect(page.locator(".pill").filter(has_text="stopped").first).to_be_visible(timeout=60_000)
        assert script.wait(120) == 0
    finally:
        script.kill()
        script.wait()

    said = (tmp_path / "terminal.txt").read_text()
    assert f"{URL}/runs/" in said
    assert "soft_format_reward_func" in said
    assert "a stranger wants to see it stop" in said
    kept = re.search(r"the script goes on at (.+)", said)
    assert kept is not None
    path = Path(kept[1].strip())
    assert said.count(str(path)) >= 2  # the terminal's own line names it, too
    assert (path / "adapter_model.safetensors").stat().st_size > 1_000
    assert "cusp promote" in said

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.goto(f"{URL}/")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
