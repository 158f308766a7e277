"""What a tab that stays open notices by itself: another database, an ended session, a deleted run, a fault."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.browser.conftest import as_a_person, log_in
from tests.conftest import MonitorProcess
from tests.messages import Trainer, point, status

FIRST, SECOND = "token-a-0123456789012345678901234567", "token-b-0123456789012345678901234567"
SKEW_S = 3 * 3_600

pytestmark = pytest.mark.usefixtures("patience")


@pytest.fixture
def monitor(monitor_process: MonitorProcess) -> MonitorProcess:
    monitor_process.start()
    return monitor_process


class Announce(Protocol):
    """Makes a run of five points."""

    def __call__(self, monitor: MonitorProcess, token: str = "", **start: object) -> Trainer: ...


@pytest.fixture
def trainer_of() -> Iterator[Announce]:
    with ExitStack() as open_ones:

        def announce(monitor: MonitorProcess, token: str = "", **start: object) -> Trainer:
            held = token or monitor.token
            headers = {"Authorization": f"Bearer {held}"} if held else {}
            client = httpx.Client(base_url=monitor.url, timeout=30, headers=headers)
            open_ones.enter_context(client)
            trainer = Trainer(client, **start)  # type: ignore[arg-type]  # asks alike
            trainer.send(*(point(step, format_reward=0.5) for step in range(1, 6)))
            return trainer

        yield announce


def opened(context: BrowserContext, url: str) -> Page:
    page = as_a_person(context.new_page())
    page.goto(url)
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    return page


def drawn(page: Page) -> None:
    page.wait_for_function("() => document.querySelector('.js-plotly-plot')?.data?.length > 0")


def test_another_database_is_noticed_by_the_page_of_a_run_and_by_the_table(
    context: BrowserContext,
    monitor_process: MonitorProcess,
    trainer_of: Announce,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a token; with one the sessions are of the old database, too, and it asks to log in."""
    monitor = monitor_process
    monitor.token = None
    monkeypatch.delenv("CUSP_TOKEN")
    monitor.start()
    old = trainer_of(monitor, name="of the old database")
    page = opened(context, f"{monitor.url}/runs/{old.run_id}")
    table = opened(context, monitor.url)
    monitor.kill()
    for file in monitor.folder.glob("cusp.db*"):
        file.unlink()
    monitor.start()
    new = trainer_of(monitor, name="of the new database")
    expect(page.locator("#banner")).to_contain_text("another database")
    expect(table.locator(f'tr[data-run="{new.run_id}"]')).to_be_visible()
    expect(table.locator(f'tr[data-run="{old.run_id}"]')).to_have_count(0)
    page.locator("#banner a").click()
    expect(page.locator("h1")).to_have_text("Not found")


def test_a_restored_backup_is_shown_as_it_is_with_what_comes_after(
    context: BrowserContext, monitor: MonitorProcess, trainer_of: Announce
) -> None:
    trainer = trainer_of(monitor)
    assert monitor.stop() in (0, -15)
    shutil.copy(monitor.folder / "cusp.db", monitor.folder / "backup.db")
    monitor.start()
    trainer.send(*(point(step, format_reward=0.9) for step in range(6, 20)))
    page = opened(context, f"{monitor.url}/runs/{trainer.run_id}")
    drawn(page)
    assert monitor.stop() in (0, -15)
    for file in monitor.folder.glob("cusp.db*"):
        file.unlink()
    shutil.copy(monitor.folder / "backup.db", monitor.folder / "cusp.db")
    monitor.start()
    page.wait_for_function(
        "() => document.querySelector('.js-plotly-plot').data[1].x.at(-1) === 19"
    )
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    seq = 5  # what the backup knows of
    trainer.send(point(6, format_reward=0.1), first_seq=seq)
    page.wait_for_function(
        "() => { const t = document.querySelector('.js-plotly-plot').data[1]; return t.y[t.x.indexOf(6)] === 0.1 }"
    )


def test_a_refused_session_says_so_keeps_the_place_and_leads_to_the_log_in(
    context: BrowserContext, monitor_process: MonitorProcess, trainer_of: Announce
) -> None:
    monitor = monitor_process
    monitor.token = FIRST
    monitor.start()
    trainer = trainer_of(monitor, FIRST)
    page = context.new_page()
    page.goto(f"{monitor.url}/runs/{trainer.run_id}")
    log_in(page, FIRST)
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    table = opened(context, f"{monitor.url}/?q=n")
    busy = opened(context, f"{monitor.url}/runs/{trainer.run_id}")
    busy.locator('[data-action="stop"]').click()  # in the middle of something: it is not sent away
    monitor.kill()
    monitor.token = SECOND
    monitor.start()
    for one in (page, table, busy):
        expect(one.locator("#banner")).to_contain_text("You are logged out")
        link = one.locator("#banner a").get_attribute("href") or ""
        place = one.evaluate("() => location.pathname + location.search")
        assert httpx.URL(link).params["next"] == place
    page.wait_for_url("**/login?next=*")
    expect(busy.locator("#stop-dialog")).to_be_visible()
    log_in(page, SECOND)
    page.wait_for_url(f"{monitor.url}/runs/{trainer.run_id}")
    expect(busy.locator("#live")).to_have_attribute("data-state", "on", timeout=60_000)
    expect(busy.locator("#banner")).to_be_hidden()


def test_a_run_that_is_deleted_and_purged_says_so(
    context: BrowserContext, monitor: MonitorProcess, trainer_of: Announce
) -> None:
    trainer = trainer_of(monitor, policy={"evaluate": "none"})
    trainer.send(status("finished"))
    page = opened(context, f"{monitor.url}/runs/{trainer.run_id}")
    table = opened(context, monitor.url)
    expect(table.locator(f'tr[data-run="{trainer.run_id}"]')).to_be_visible()
    api = trainer.api
    assert api.delete(f"/api/v1/runs/{trainer.run_id}").status_code == 200
    expect(page.locator("#banner")).to_contain_text("This run was deleted")
    expect(table.locator(f'tr[data-run="{trainer.run_id}"]')).to_have_count(0)
    assert api.post(f"/api/v1/runs/{trainer.run_id}/purge").status_code == 202
    expect(page.locator("#banner")).to_contain_text("was purged by")


BROKEN = {
    "a chart module that does not load": ("**/static/js/charts/chart.js*", "abort"),
    "Plotly that does not load": ("**/static/plotly-*.js", "abort"),
    "a chart module with a fault": (
        "**/static/js/charts/chart.js*",
        "throw new Error('a fault of ours')",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_fault_in_drawing_leaves_the_buttons_and_is_said(
    context: BrowserContext, monitor: MonitorProcess, what: str, trainer_of: Announce
) -> None:
    address, content = BROKEN[what]
    if content == "abort":
        context.route(address, lambda route: route.abort())
    else:
        context.route(
            address, lambda route: route.fulfill(body=content, content_type="text/javascript")
        )
    trainer = trainer_of(monitor)
    page = opened(context, f"{monitor.url}/runs/{trainer.run_id}")
    expect(page.locator("#chart-fault")).to_contain_text("The charts cannot be drawn")
    trainer.send(point(6, format_reward=0.5))
    expect(page.locator('[data-f="step"]')).to_have_text("6")
    stops(page, monitor, trainer)


def test_data_that_plotly_cannot_draw_leave_the_buttons_too(
    context: BrowserContext, monitor: MonitorProcess, trainer_of: Announce
) -> None:
    trainer = trainer_of(monitor)
    page = opened(context, f"{monitor.url}/runs/{trainer.run_id}")
    drawn(page)
    page.evaluate(
        "() => { Plotly.extendTraces = Plotly.react = () => { throw new Error('bad data') } }"
    )
    trainer.send(point(6, format_reward=0.5))
    expect(page.locator("#chart-fault")).to_contain_text("bad data")
    trainer.send(point(7, format_reward=0.5))
    expect(page.locator('[data-f="step"]')).to_have_text("7")
    stops(page, monitor, trainer)


def stops(page: Page, monitor: MonitorProcess, trainer: Trainer) -> None:
    page.locator('[data-action="stop"]').click()
    page.locator('[data-confirm="stop"]').click()
    expect(page.locator("#section-commands")).to_contain_text("Stop")
    assert [c["kind"] for c in monitor.get(f"/runs/{trainer.run_id}")["commands"]] == ["stop"]


def test_a_request_that_is_not_answered_ends_with_a_sentence(
    context: BrowserContext, monitor: MonitorProcess, trainer_of: Announce
) -> None:
    trainer = trainer_of(monitor)
    # The limit is 20 s; the page's clock is wound on, the request hangs for real.
    page = context.new_page()
    page.clock.install()
    as_a_person(page).goto(f"{monitor.url}/runs/{trainer.run_id}")
    context.route("**/api/v1/runs/*/stop", lambda route: None)
    page.locator('[data-action="stop"]').click()
    with page.expect_request("**/stop") as asked:
        page.locator('[data-confirm="stop"]').click()
    assert isinstance(asked.value, Request)
    page.clock.fast_forward(21_000)
    expect(page.locator("#said")).to_contain_text("did not answer within 20 s")
    expect(page.locator("#said")).to_contain_text("look before you ask again")
    expect(page.locator('[data-action="stop"]')).not_to_have_attribute("aria-busy", "true")


@pytest.mark.parametrize("skew_s", [-SKEW_S, SKEW_S])
def test_ages_are_by_the_monitors_clock(
    context: BrowserContext, monitor: MonitorProcess, skew_s: int, trainer_of: Announce
) -> None:
    context.add_init_script(
        f"""{{ const real = Date; const skew = {1000 * skew_s};
        globalThis.Date = class extends real {{
            constructor(...given) {{ given.length ? super(...given) : super(real.now() + skew) }}
            static now() {{ return real.now() + skew }} }} }}"""
    )
    trainer = trainer_of(monitor)
    page = opened(context, f"{monitor.url}/runs/{trainer.run_id}")
    table = opened(context, monitor.url)
    trainer.send(point(6))
    for where in (
        page.locator('#section-header [data-f="last_contact"]'),
        table.locator('[data-f="last_contact"]'),
    ):
        expect(where).to_have_text("just now")
    page.wait_for_timeout(7_000)
    for where in (
        page.locator('#section-header [data-f="last_contact"]'),
        table.locator('[data-f="last_contact"]'),
    ):
        words = where.inner_text()
        assert words.endswith(" s ago"), words
        assert 4 < int(words.split()[0]) < 60
