"""Logging in and out as people do: deep links, several monitors on one host, links from other sites."""

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from cusp.cli.demo.processes import free_port
from tests.browser.conftest import FLAGS, TOKEN, log_in
from tests.browser.install import browser as installed_browser
from tests.conftest import MonitorProcess
from tests.messages import Trainer, point


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has been nowhere yet."""
    made = browser.new_context()
    yield made
    made.close()


@pytest.fixture
def monitor(monitor_process: MonitorProcess) -> MonitorProcess:
    monitor_process.start()
    return monitor_process


@pytest.fixture
def run_path(monitor: MonitorProcess) -> str:
    with monitor.client() as client:
        trainer = Trainer(client)  # type: ignore[arg-type]  # asks alike
        trainer.send(point(1, format_reward=0.5), point(2, format_reward=0.6))
    return f"/runs/{trainer.run_id}"


@contextmanager
def site(page: str) -> Iterator[int]:
    """Give the port of another web site on this machine, which shows one page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
    server.server_close()
    thread.join()


def is_live(page: Page) -> None:
    expect(page.locator("#live")).to_have_attribute("data-state", "on", timeout=20_000)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_deep_link_survives_the_log_in_with_its_query_and_fragment(
    context: BrowserContext, monitor: MonitorProcess, run_path: str, host: str
) -> None:
    page = context.new_page()
    url = f"http://{host}:{monitor.port}"
    page.goto(f"{url}{run_path}?x=a%26b#config")
    log_in(page, "a-token-that-is-quite-another-one")
    expect(page.get_by_role("alert").filter(has_text="no such token")).to_be_visible()
    log_in(page)
    expect(page).to_have_url(f"{url}{run_path}?x=a%26b#config")
    is_live(page)
    page.goto(f"{url}/?project=default&q=two words#deleted")
    assert page.locator("form#login").count() == 0


def test_the_log_in_leads_to_no_other_site(
    context: BrowserContext, monitor: MonitorProcess
) -> None:
    page = context.new_page()
    with site("elsewhere") as port:
        for wanted in (
            f"//127.0.0.1:{port}/",
            f"http://127.0.0.1:{port}/",
            rf"/\127.0.0.1:{port}/",
            f"/%09/127.0.0.1:{port}/",
            f"%2F%2F127.0.0.1:{port}/",
            f"/.//127.0.0.1:{port}/",
            "javascript:alert(1)",
        ):
            page.goto(f"{monitor.url}/login?next={wanted}")
            log_in(page)
            assert page.url.startswith(f"{monitor.url}/"), (wanted, page.url)
            page.goto(f"{monitor.url}/login?next={wanted}")  # of one who is logged in
            assert page.url.startswith(f"{monitor.url}/"), (wanted, page.url)
            context.clear_cookies()


def test_two_monitors_on_one_host_do_not_log_each_other_out(
    context: BrowserContext, monitor: MonitorProcess, tmp_path: Path
) -> None:
    other = MonitorProcess(tmp_path / "other", free_port(0), token=TOKEN)  # even with one token
    other.folder.mkdir()
    other.start()
    try:
        first, second = context.new_page(), context.new_page()
        for page, one in ((first, monitor), (second, other)):
            page.goto(one.url)
            log_in(page)
            is_live(page)
        second.get_by_role("button", name="Log out").click()
        expect(second.locator("form#login")).to_be_visible()
        first.reload()
        is_live(first)
    finally:
        other.kill()


def test_logging_out_ends_every_tab_and_every_copy_of_the_cookie(
    context: BrowserContext, monitor: MonitorProcess, run_path: str
) -> None:
    page, tab = context.new_page(), context.new_page()
    page.goto(monitor.url)
    log_in(page)
    tab.goto(monitor.url + run_path)
    is_live(tab)
    copied = {c["name"]: c["value"] for c in context.cookies()}
    assert httpx.get(f"{monitor.url}/api/v1/runs", cookies=copied).status_code == 200
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("form#login")).to_be_visible()
    assert context.cookies() == []
    assert httpx.get(f"{monitor.url}/api/v1/runs", cookies=copied).status_code == 401
    assert tab.evaluate("fetch('/api/v1/runs').then(answer => answer.status)") == 401
    tab.reload()
    log_in(tab)
    expect(tab).to_have_url(monitor.url + run_path)


def test_a_link_from_another_site_finds_the_session(
    context: BrowserContext, monitor: MonitorProcess, run_path: str
) -> None:
    """As one in a chat or a mail does: the browser then leaves the cookie out at first."""
    page = context.new_page()
    page.goto(monitor.url)
    log_in(page)
    with site(f'<a href="{monitor.url}{run_path}?x=1#config">the run</a>') as port:
        page.goto(f"http://localhost:{port}/")
        page.get_by_role("link").click()
        expect(page).to_have_url(f"{monitor.url}{run_path}?x=1#config")
        is_live(page)


def statuses(monitor: MonitorProcess, target: str) -> list[int]:
    """Return how the monitor answered each such request, the newest first."""
    rows = monitor.get("/audit", requests=True)["audit"]
    return [row["detail"]["status"] for row in rows if row["target"] == target]


ATTACK = """<form id="out" method="post" action="{url}/logout" target="shown"></form>
<form id="in" method="post" action="{url}/login" target="shown"><input name="token" value="{token}"></form>
<iframe name="shown"></iframe>"""
TRY = """url => Promise.all(["POST", "DELETE"].map(method => fetch(url, {
    method, mode: "no-cors", credentials: "include", headers: {"Content-Type": "text/plain"},
    body: JSON.stringify({reason: "attack"})}).catch(() => null)))"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_port_or_site_cannot_act_through_the_browser(
    context: BrowserContext, monitor: MonitorProcess, run_path: str, host: str
) -> None:
    """Another port of the same host is the same site to the cookie, which is sent along with it."""
    page = context.new_page()
    page.goto(monitor.url)
    log_in(page)
    attack = ATTACK.format(url=monitor.url, token=TOKEN)
    refused = {"out": 0, "in": 0}
    with site(attack) as port:
        for origin in ("as it is", "hidden"):
            evil = context.new_page()
            evil.goto(f"http://{host}:{port}/")
            if origin == "hidden":  # Origin: null
                evil.evaluate(
                    """() => { const m = document.createElement('meta');
                    m.name = 'referrer'; m.content = 'no-referrer'; document.head.append(m) }"""
                )
            evil.evaluate(TRY, f"{monitor.url}/api/v1{run_path}/stop")
            for form in ("out", "in"):
                # The frame shows no answer (it may not be framed): the monitor's own record tells.
                evil.evaluate(f"document.getElementById('{form}').submit()")
                refused[form] += 1
                path = f"POST /log{form}"
                by = time.monotonic() + 30
                while statuses(monitor, path).count(403) < refused[form]:
                    assert time.monotonic() < by, (path, origin, statuses(monitor, path))
                    time.sleep(0.05)
            evil.close()
    assert statuses(monitor, "POST /login") == [403, 403, 303], (
        "newest first: the person's is the last"
    )
    assert statuses(monitor, "POST /logout") == [403, 403]
    page.reload()
    is_live(page)
    assert monitor.get(run_path)["commands"] == []
    stops = statuses(monitor, f"POST /api/v1{run_path}/stop")
    assert stops == [403] * len(stops)
    assert len(stops) >= 2


def test_over_plain_http_from_another_machine_the_origin_alone_tells(
    browser: Browser, monitor: MonitorProcess, run_path: str
) -> None:
    """Browsers send Sec-Fetch-Site only over https and to this machine itself."""
    names = "--host-resolver-rules=MAP *.lan 127.0.0.1"
    path = installed_browser()
    far = browser.browser_type.launch(executable_path=path, args=[*FLAGS, names])
    page = far.new_context().new_page()
    sent: list[dict[str, str]] = []
    page.on("request", lambda request: sent.append(request.all_headers()))
    url = f"http://monitor.lan:{monitor.port}"
    page.goto(f"{url}{run_path}#config")
    log_in(page)
    expect(page).to_have_url(f"{url}{run_path}#config")
    is_live(page)
    assert not any("sec-fetch-site" in headers for headers in sent)
    with site(ATTACK.format(url=url, token=TOKEN)) as port:
        evil = page.context.new_page()
        evil.goto(f"http://monitor.lan:{port}/")
        with evil.expect_response(lambda a: "/logout" in a.url) as answer:
            evil.evaluate("document.getElementById('out').submit()")
        assert answer.value.status == 403
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Stop the run").click()
    expect(page.locator("#section-commands")).to_contain_text("Stop", timeout=15_000)
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("form#login")).to_be_visible()
    far.close()
