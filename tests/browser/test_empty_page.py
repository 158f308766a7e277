"""The page without a run promises only what works: each command on it is run as it stands there."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import TOKEN, as_a_person
from tests.conftest import MonitorProcess


@pytest.fixture(params=["", TOKEN], ids=["open", "with a token"])
def page_and_monitor(
    browser: Browser,
    monitor_process: MonitorProcess,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Page, MonitorProcess]]:
    monitor = monitor_process
    monitor.token = request.param or None
    monkeypatch.delenv("CUSP_TOKEN")
    monitor.start()
    context = browser.new_context()
    page = as_a_person(context.new_page())
    page.goto(monitor.url)
    expect(page.locator("#live")).to_have_attribute("data-state", "on", timeout=30_000)
    yield page, monitor
    context.close()


def shell(lines: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run lines as a person pastes them, with this project's commands on the path."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CUSP_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CUSP_DIR": str(cwd / "cusp"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    return subprocess.run(
        ["bash", "-ec", lines], cwd=cwd, env=environment, text=True, capture_output=True, timeout=90
    )


def test_the_settings_and_the_loop_bring_a_run_to_the_page(
    page_and_monitor: tuple[Page, MonitorProcess], tmp_path: Path
) -> None:
    page, monitor = page_and_monitor
    settings = page.locator("[data-shell]").inner_text()
    assert f"export CUSP_URL={monitor.url}" in settings
    assert ("CUSP_TOKEN" in settings) == bool(monitor.token)
    settings = settings.replace("the token of this monitor", monitor.token or "")
    (tmp_path / "loop.py").write_text(page.locator("[data-script]").inner_text())
    done = shell(f"{settings}\n{Path(sys.executable).name} loop.py", tmp_path)
    assert done.returncode == 0, done.stderr
    row = page.locator("tr[data-run]")
    expect(row).to_contain_text("by hand", timeout=30_000)
    expect(row).to_contain_text("finished", timeout=30_000)
    expect(page.locator("#start")).to_be_hidden()


def test_the_commands_without_a_training_work(
    page_and_monitor: tuple[Page, MonitorProcess], tmp_path: Path
) -> None:
    page, _ = page_and_monitor
    history = [
        {"step": s, "completions/mean_length": 100.0, "rewards/format_reward/mean": 0.5}
        for s in range(1, 40)
    ]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    replayed = shell(page.locator("[data-replay]").inner_text(), tmp_path)
    assert replayed.returncode == 0, replayed.stderr
    assert "By step 39 no transition is seen" in " ".join(replayed.stdout.split())
    demo = shell(f"{page.locator('[data-demo]').inner_text()} --help", tmp_path)
    assert demo.returncode == 0, demo.stderr  # what it does is tried in tests/e2e/test_demo.py
    assert "trackio" not in page.locator("#start").inner_text().lower()
