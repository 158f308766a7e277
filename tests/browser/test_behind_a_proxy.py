"""The whole dashboard below a path prefix, as a person goes through it: stripped or kept, https or http."""

import ssl
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import trustme
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import FLAGS, TOKEN, as_a_person, log_in
from tests.browser.install import browser as installed_browser
from tests.conftest import MonitorProcess
from tests.messages import Trainer, point
from tests.reverse_proxy import ReverseProxy

PREFIX = "/tools/cusp"


class Way(NamedTuple):
    """How the proxy is set up, and how the monitor is told."""

    strips: bool
    says: bool  # X-Forwarded-Prefix; else CUSP_ROOT_PATH
    keeps_host: bool
    tls: bool


WAYS = [Way(True, True, True, False), Way(True, False, False, True), Way(False, False, True, True)]


@pytest.fixture(params=WAYS, ids=str)
def proxy(
    request: pytest.FixtureRequest, monitor_process: MonitorProcess
) -> Iterator[ReverseProxy]:
    way: Way = request.param
    if not way.says:
        monitor_process.settings["CUSP_ROOT_PATH"] = PREFIX
    monitor_process.start()
    context = None
    if way.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("localhost").configure_cert(context)
    with ReverseProxy(
        monitor_process.port,
        PREFIX,
        strips=way.strips,
        says=way.says,
        keeps_host=way.keeps_host,
        tls=context,
    ) as made:
        yield made


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Page]:
    """A page that takes the proxy's certificate; errors of a script fail the test.

    The whole browser takes it: what a context ignores reaches its shared worker, which holds the stream, too
    late at times, and the stream is refused.
    """
    chromium = browser.browser_type.launch(
        executable_path=installed_browser(), args=[*FLAGS, "--ignore-certificate-errors"]
    )
    page = as_a_person(chromium.new_page())
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    chromium.close()
    assert errors == []


def test_everything_a_person_does_stays_below_the_prefix(
    visitor: Page, proxy: ReverseProxy, monitor_process: MonitorProcess
) -> None:
    page, url = visitor, proxy.url("localhost")
    with monitor_process.client() as client:
        trainer = Trainer(client, project="default")  # type: ignore[arg-type]  # asks alike
        trainer.send(*(point(step, format_reward=0.5) for step in range(1, 30)))
        page.goto(f"{url}/runs/{trainer.run_id}?x=1#config")  # asked to log in on the way
        expect(page).to_have_url(f"{url}/runs/{trainer.run_id}?x=1#config")
        (cookie,) = page.context.cookies()
        assert cookie["path"] == PREFIX
        assert cookie["secure"] is url.startswith("https")
        expect(page.locator("#live")).to_have_attribute("data-state", "on", timeout=20_000)
        page.wait_for_function("() => document.querySelector('.js-plotly-plot')?.data?.length > 0")
        trainer.send(point(30, format_reward=0.5))
        expect(page.locator("[data-f=step]").first).to_have_text("30", timeout=15_000)
        page.get_by_role("button", name="Stop", exact=True).click()
        page.get_by_role("button", name="Stop the run").click()
        expect(page.locator("#section-commands")).to_contain_text("Stop", timeout=15_000)
        page.locator(".crumbs a").click()
        expect(page).to_have_url(f"{url}/?project=default")
        page.locator("tbody a").first.click()
        expect(page).to_have_url(f"{url}/runs/{trainer.run_id}")
        trainer.send({"kind": "status", "status": "stopped"})
        page.locator('#section-header [data-action="delete"]:not([disabled])').click()
        page.locator('[data-confirm="delete"]').click()
        expect(page).to_have_url(f"{url}/#deleted")
        page.get_by_role("button", name="Restore").click()
        expect(page.locator(f'tr[data-run="{trainer.run_id}"]')).to_be_visible(timeout=15_000)
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{url}/login")
    assert page.context.cookies() == []
    log_in(page, TOKEN)
    expect(page).to_have_url(f"{url}/")
    page.goto(url)  # without a slash
    expect(page.locator("#live")).to_have_attribute("data-state", "on", timeout=20_000)
    page.get_by_role("link", name="Runs", exact=True).click()
    expect(page).to_have_url(f"{url}/")
    assert [path for path in proxy.missed if path != "/favicon.ico"] == []
    assert any(path.endswith("/series") or "/runs" in path for path in proxy.packed)
    assert not any("events" in path for path in proxy.packed)
