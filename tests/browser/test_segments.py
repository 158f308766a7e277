"""A run that is over shows its segments on its page, in words and in the charts."""

import pytest
from playwright.sync_api import Page, expect

import cusp
from tests.conftest import MonitorProcess
from tests.monitor.replay.logs import TRL, healthy_run
from tests.waiting import wait_until

DRAWN = """() => document.querySelector('#charts').data
    .filter(({ meta }) => meta.role === 'segments').map(({ meta }) => meta.metric)"""


@pytest.fixture
def run(monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch) -> cusp.Run:
    """A run that learnt the format, still training."""
    monitor_process.start()
    monkeypatch.setenv("CUSP_URL", monitor_process.url)
    monkeypatch.setenv("CUSP_DIR", str(monitor_process.folder))
    run = cusp.init("segments", "learnt")
    for sample in healthy_run():
        run.log({TRL[name]: value for name, value in sample.metrics.items()}, sample.step)
    wait_until(lambda: [one["step"] for one in monitor_process.get("/runs")["runs"]] == [260], 20)
    return run


def test_segments_are_shown_once_the_run_is_over(
    page: Page, monitor_process: MonitorProcess, run: cusp.Run
) -> None:
    page.goto(f"{monitor_process.url}/runs/{run.id}")
    expect(page.locator("#charts .main-svg").first).to_be_visible()
    expect(page.locator(".segments")).to_have_count(0)
    assert run.finish(drain_s=20)
    wait_until(lambda: monitor_process.get(f"/runs/{run.id}")["status"] == "finished", 20)
    page.reload()
    card = page.locator(".segments")
    card.locator("summary").click()
    expect(card).to_contain_text("Stretches of constant trend")
    assert card.locator("tbody tr").count() >= 2  # the rise, after it
    expect(card.locator("tbody")).to_contain_text("format")
    assert page.evaluate(DRAWN) == ["format_reward", "completion_length"]
