"""Many tabs of one browser: they share a stream, outlive each other, and each one's buttons work."""

import json
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import as_a_person
from tests.conftest import MonitorProcess
from tests.messages import Trainer, point

TABS = 12
NO_SHARED_WORKER = "delete window.SharedWorker"
# Every point that the page's chart holds of a metric, in the order drawn; none while there is no chart.
STEPS = """() => document.querySelector('.js-plotly-plot')?.data
    ?.find(t => t.meta.role === 'values' && t.meta.metric === 'format_reward').x ?? []"""

pytestmark = pytest.mark.usefixtures("patience")


@pytest.fixture
def monitor(monitor_process: MonitorProcess) -> MonitorProcess:
    monitor_process.start()
    return monitor_process


@pytest.fixture
def client(monitor: MonitorProcess) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {monitor.token}"}
    with httpx.Client(base_url=monitor.url, timeout=30, headers=headers) as it:
        yield it


class Loops:
    """Trainings that log by hand, a step at a time, and say that they live in between."""

    def __init__(self, client: httpx.Client, count: int) -> None:
        self.trainers = [Trainer(client, name=f"run {n}") for n in range(count)]  # type: ignore[arg-type]
        self.steps = [0] * count
        for number in range(count):
            self.log(number, 3)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def log(self, number: int, steps: int = 1) -> None:
        first = self.steps[number] + 1
        self.trainers[number].send(
            *(point(s, format_reward=0.5) for s in range(first, first + steps))
        )
        self.steps[number] += steps

    def log_all(self, steps: int = 1) -> None:
        with self._lock:
            for number in range(len(self.trainers)):
                self.log(number, steps)

    def _live(self) -> None:
        while not self._ended.wait(5):
            with self._lock:
                for trainer in self.trainers:
                    trainer.send()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture
def loops(client: httpx.Client) -> Iterator[Loops]:
    it = Loops(client, TABS)
    yield it
    it.end()


def streams(client: httpx.Client) -> int:
    """Return how many sources the monitor's open streams read: the runs and the tables followed."""
    text = client.get("/metrics").text
    return int(float(text.split("\ncusp_streams ")[1].split()[0]))


def opened(context: BrowserContext, url: str) -> Page:
    page = as_a_person(context.new_page())
    page.goto(url)
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    return page


def has_all(page: Page, last: int, timeout_ms: float = 20_000) -> None:
    """Wait for the last point, then see that each came once and in order."""
    page.wait_for_function(f"() => ({STEPS})().at(-1) === {last}", timeout=timeout_ms)
    assert page.evaluate(STEPS) == list(range(1, last + 1))


def stop(page: Page) -> None:
    page.bring_to_front()
    page.locator('[data-action="stop"]').click()
    page.locator('[data-confirm="stop"]').click()
    expect(page.locator("#section-commands")).to_contain_text("Stop")


def test_twelve_tabs_and_the_table_are_live_and_stop_works_in_each(
    context: BrowserContext, monitor: MonitorProcess, client: httpx.Client, loops: Loops
) -> None:
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    table = opened(context, monitor.url)
    pages = [opened(context, f"{monitor.url}/runs/{t.run_id}") for t in loops.trainers]
    loops.log_all(4)
    for page in pages:
        has_all(page, 7)
    for trainer in loops.trainers:
        row = table.locator(f'tr[data-run="{trainer.run_id}"] [data-f="step"]')
        expect(row).to_have_text("7")
    assert streams(client) == TABS + 1
    for trainer, page in zip(loops.trainers, pages, strict=True):
        stop(page)
        kinds = [command["kind"] for command in monitor.get(f"/runs/{trainer.run_id}")["commands"]]
        assert kinds == ["stop"]
    assert all(page.locator("#live").get_attribute("data-state") == "on" for page in pages)


def test_several_tabs_of_one_run_show_it_alike_and_a_closed_one_is_not_missed(
    context: BrowserContext, monitor: MonitorProcess, client: httpx.Client, loops: Loops
) -> None:
    url = f"{monitor.url}/runs/{loops.trainers[0].run_id}"
    first = opened(context, url)
    loops.log_all(5)
    second = opened(context, url)  # rendered with a later cursor
    loops.log_all(2)
    for page in (first, second):
        has_all(page, 10)
    first.close()
    for _ in range(5):
        loops.log_all()
    third = opened(context, url)
    for page in (second, third):
        has_all(page, 15)


def test_when_the_holder_of_the_stream_crashes_the_tabs_go_on_without_a_gap_or_a_double(
    context: BrowserContext, monitor: MonitorProcess, loops: Loops
) -> None:
    pages = [opened(context, f"{monitor.url}/runs/{t.run_id}") for t in loops.trainers[:3]]
    loops.log_all(2)
    for page in pages:
        has_all(page, 5)
    kill_shared_worker(context, pages[0])
    for _ in range(10):
        loops.log_all()
        time.sleep(0.05)
    for page in pages:
        has_all(page, 15, 40_000)


def kill_shared_worker(context: BrowserContext, page: Page) -> None:
    """End it as a crash would: its tabs are told nothing."""
    assert context.browser
    session = context.browser.new_browser_cdp_session()
    found = session.send("Target.getTargets", {"filter": [{"type": "shared_worker"}, {}]})
    workers = [one for one in found["targetInfos"] if one["type"] == "shared_worker"]
    assert len(workers) == 1, found
    attached = session.send(
        "Target.attachToTarget", {"targetId": workers[0]["targetId"], "flatten": False}
    )
    session.send(
        "Target.sendMessageToTarget",
        {
            "sessionId": attached["sessionId"],
            "message": json.dumps(
                {"id": 1, "method": "Runtime.evaluate", "params": {"expression": "self.close()"}}
            ),
        },
    )
    session.detach()


def test_a_restart_of_the_monitor_loses_and_doubles_nothing_in_any_tab(
    context: BrowserContext, monitor: MonitorProcess, loops: Loops
) -> None:
    pages = [opened(context, f"{monitor.url}/runs/{t.run_id}") for t in loops.trainers[:3]]
    for page in pages:
        has_all(
            page, 3
        )  # the chart's modules are loaded while there is a monitor to load them from
    loops.end()
    monitor.kill()
    expect(pages[0].locator("#banner")).to_contain_text("Connection to the monitor lost")
    monitor.start()
    for number in range(3):
        loops.log(number, 4)
    for page in pages:
        has_all(page, 7, 40_000)
        expect(page.locator("#banner")).to_be_hidden()


def test_without_shared_workers_few_tabs_stream_and_each_is_live_when_used(
    context: BrowserContext, monitor: MonitorProcess, client: httpx.Client, loops: Loops
) -> None:
    context.add_init_script(NO_SHARED_WORKER)
    pages = [opened(context, f"{monitor.url}/runs/{t.run_id}") for t in loops.trainers]
    expect(pages[0].locator("#live")).to_have_attribute("data-state", "off")
    expect(pages[0].locator("#banner")).to_contain_text("goes on when you use it")
    loops.log_all(4)
    assert streams(client) <= 4
    for page in (pages[0], pages[5], pages[11]):
        stop(page)
        expect(page.locator("#live")).to_have_attribute("data-state", "on")
        expect(page.locator("#banner")).to_be_hidden()
        has_all(page, 7)


def test_a_worker_that_cannot_start_leaves_the_page_a_stream_of_its_own(
    context: BrowserContext, monitor: MonitorProcess, loops: Loops
) -> None:
    context.route("**/static/js/live/worker.js*", lambda route: route.abort())
    page = opened(context, f"{monitor.url}/runs/{loops.trainers[0].run_id}")
    loops.log_all(3)
    has_all(page, 6)
