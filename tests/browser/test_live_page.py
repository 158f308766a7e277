"""The page of a live run in a real browser: points arrive, Stop stops, hostile text stays text."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import cusp
from tests.conftest import MonitorProcess


@pytest.fixture
def monitor(monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch) -> MonitorProcess:
    monitor_process.start()
    monkeypatch.setenv("CUSP_URL", monitor_process.url)
    monkeypatch.setenv("CUSP_DIR", str(monitor_process.folder))
    return monitor_process


@pytest.fixture
def training(monitor: MonitorProcess) -> Iterator[cusp.Run]:
    """A loop that logs a step every 50 ms until it is told to stop, as a person's own trainer would."""
    run = cusp.init(
        "browser", "<img src=x onerror=alert(1)>", metadata=cusp.RunMetadata(max_steps=9_999)
    )
    ended = threading.Event()

    def train() -> None:
        rng = random.Random(1)
        step = 0
        while not run.should_stop() and not ended.is_set():
            step += 1
            run.log(
                {
                    "format_reward": 0.8 + 0.1 * rng.random(),
                    "completion_length": 60 + 5 * rng.random(),
                    "accuracy_reward": 0.5,
                },
                step,
            )
            time.sleep(0.05)
        run.finish()

    loop = threading.Thread(target=train, daemon=True)
    loop.start()
    while not monitor.get("/runs")["runs"]:
        time.sleep(0.05)
    yield run
    ended.set()
    loop.join()


def drawn(page: Page) -> int:
    """Return how many points of the first series the chart holds."""
    script = """() => { const g = document.querySelector('.js-plotly-plot');
        return g && g.data ? Math.max(0, ...g.data.map(t => (t.x || []).length)) : 0 }"""
    return int(page.evaluate(script))


def test_live_points_arrive_and_stop_stops_the_run(
    page: Page, monitor: MonitorProcess, training: cusp.Run
) -> None:
    page.goto(f"{monitor.url}/runs/{training.id}")
    expect(page.locator("h1")).to_have_text("<img src=x onerror=alert(1)>")
    page.wait_for_function("() => document.querySelector('.js-plotly-plot')?.data?.length > 0")
    before = drawn(page)
    page.wait_for_function(
        f"""() => Math.max(0, ...document.querySelector('.js-plotly-plot').data
            .map(t => (t.x || []).length)) > {before + 10}"""
    )
    step = int(page.locator("[data-f=step]").inner_text().replace(",", "").replace("\u202f", ""))
    assert step > before
    page.get_by_role("button", name="Stop", exact=True).click()
    page.locator("#stop-dialog input[name=reason]").fill("seen enough")
    page.get_by_role("button", name="Stop the run").click()
    expect(page.locator("#section-header")).to_contain_text("stopped", timeout=15_000)
    expect(page.locator("#section-commands")).to_contain_text("done")
    run = monitor.get(f"/runs/{training.id}")
    assert (run["status"], run["status_reason"]) == ("stopped", "seen enough")


def test_the_runs_table_follows_a_run_and_leads_to_it(
    page: Page, monitor: MonitorProcess, training: cusp.Run
) -> None:
    page.goto(monitor.url)
    row = page.locator("tr", has_text="onerror=alert(1)")
    expect(row).to_contain_text("running")
    first = row.inner_text()
    page.wait_for_timeout(1_500)
    assert row.inner_text() != first
    row.get_by_role("link").first.click()
    expect(page).to_have_url(f"{monitor.url}/runs/{training.id}")
    page.wait_for_function("() => document.querySelector('.js-plotly-plot')?.data?.length > 0")


def test_a_monitor_that_goes_away_is_said_and_found_again(
    page: Page, monitor: MonitorProcess, training: cusp.Run
) -> None:
    page.goto(f"{monitor.url}/runs/{training.id}")
    expect(page.locator("#live")).to_contain_text("live", timeout=10_000)
    page.evaluate("() => { window.stayed = true }")
    monitor.kill()
    expect(page.locator("#banner")).to_be_visible(timeout=15_000)
    monitor.start()
    expect(page.locator("#live")).to_contain_text("live", timeout=20_000)
    before = drawn(page)
    page.wait_for_function(
        f"""() => Math.max(0, ...document.querySelector('.js-plotly-plot').data
            .map(t => (t.x || []).length)) > {before + 5}"""
    )
    steps = page.evaluate("() => document.querySelector('.js-plotly-plot').data[0].x")
    assert page.evaluate("() => window.stayed") is True
    assert sorted(set(steps)) == steps


@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_scrolls_sideways(
    page: Page, monitor: MonitorProcess, training: cusp.Run, width: int, tmp_path: Path
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/", f"/runs/{training.id}"):
        page.goto(monitor.url + path)
        page.wait_for_timeout(500)
        overflow = page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, path
