"""A browser's session ends: by itself, at log-out, with its token, with CUSP_TOKEN; everywhere."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from monitor.api.routes.sessions import local
from monitor.app import create_app
from monitor.auth import tokens
from monitor.auth.sessions import LIFE_S, MOST_TRIED, SKEW_S, Sessions
from monitor.settings import MonitorConfig
from tests.conftest import Clock
from tests.messages import Trainer, point
from tests.serving import serving

KEY = "the-bootstrap-token-of-a-test"
BEARER = {"Authorization": f"Bearer {KEY}"}
DAY_S = 86_400


def monitor_on(database_url: str, clock: Clock, key: str = KEY, **more: Any) -> TestClient:
    app = create_app(MonitorConfig(database_url, token=key, **more))
    app.state.service.clock = clock
    return TestClient(app, base_url="http://m.example:8787", follow_redirects=False)


@pytest.fixture
def monitor(database_url: str, clock: Clock) -> Iterator[TestClient]:
    with monitor_on(database_url, clock) as client:
        yield client


def logged_in(monitor: TestClient, token: str = KEY) -> TestClient:
    browser = TestClient(monitor.app, base_url="http://m.example:8787", follow_redirects=False)
    assert browser.post("/login", data={"token": token}).status_code == 303
    return browser


def status(browser: TestClient) -> int:
    return browser.get("/api/v1/runs").status_code


def copy_of(browser: TestClient, at: TestClient) -> TestClient:
    cookies = dict(browser.cookies)
    return TestClient(at.app, base_url="http://m.example:8787", cookies=cookies)


def test_a_session_ends_after_thirty_days_whatever_the_browser_does(
    monitor: TestClient, clock: Clock
) -> None:
    browser = logged_in(monitor)
    thief = copy_of(browser, monitor)
    clock.now += 30 * DAY_S - 10
    assert status(thief) == 200
    clock.now += 20
    assert status(thief) == 401
    clock.now -= 31 * DAY_S  # a cookie from the future was made by a clock that is wrong by now
    assert status(thief) == 401


def test_a_monitor_whose_clock_is_a_little_behind_takes_a_new_session(
    monitor: TestClient, clock: Clock
) -> None:
    browser = logged_in(monitor)
    clock.now -= SKEW_S - 10
    assert status(browser) == 200


def test_logging_out_ends_the_session_at_every_monitor(
    monitor: TestClient, clock: Clock, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, other = logged_in(monitor), logged_in(monitor)
    with ExitStack() as stack:
        second = monitor
        if "postgres" in database_url:  # SQLite serves one monitor
            second = stack.enter_context(monitor_on(database_url, clock))
        thief = copy_of(browser, second)
        assert status(thief) == 200
        answer = browser.post("/logout")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert dict(browser.cookies) == {}
        app: Any = second.app
        monkeypatch.setattr(app.state.service.tokens, "_ticks", lambda: 1e12)
        assert status(thief) == 401
        assert status(other) == 200  # another log-in of the same token


def test_a_session_that_was_ended_is_remembered_as_long_as_its_cookie_could_be_used(
    monitor: TestClient, clock: Clock
) -> None:
    app: Any = monitor.app

    def kept() -> int:
        with app.state.service.database.read() as tx:
            return int(tx.execute(text("SELECT count(*) FROM ended_sessions")).scalar_one())

    first = logged_in(monitor)
    thief = copy_of(first, monitor)
    first.post("/logout")
    clock.now += LIFE_S - 10
    assert (status(thief), kept()) == (401, 1)
    clock.now += 20
    logged_in(monitor).post("/logout")
    assert (status(thief), kept()) == (401, 1)


def test_ending_one_session_does_not_bring_back_another(
    monitor: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    browsers = [logged_in(monitor) for _ in range(3)]
    thieves = [copy_of(browser, monitor) for browser in browsers]
    for browser in browsers:
        assert browser.post("/logout").status_code == 303
    app: Any = monitor.app
    monkeypatch.setattr(app.state.service.tokens, "_ticks", lambda: 1e12)  # nothing is remembered
    assert [status(thief) for thief in thieves] == [401, 401, 401]


def test_logging_out_twice_or_without_a_session_is_no_error_and_stores_nothing(
    monitor: TestClient,
) -> None:
    stranger = TestClient(monitor.app, base_url="http://m.example:8787", follow_redirects=False)
    assert stranger.post("/logout").status_code == 303
    browser = logged_in(monitor)
    cookies = dict(browser.cookies)
    for _ in range(2):
        again = TestClient(
            monitor.app, base_url="http://m.example", cookies=cookies, follow_redirects=False
        )
        assert again.post("/logout").status_code == 303
    app: Any = monitor.app
    with app.state.service.database.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM ended_sessions")).scalar_one() == 1


def test_a_revoked_token_ends_its_sessions_and_no_other(monitor: TestClient) -> None:
    made = monitor.post(
        "/api/v1/tokens", json={"name": "n", "scopes": ["read"]}, headers=BEARER
    ).json()
    browser, other = logged_in(monitor, made["token"]), logged_in(monitor)
    assert status(browser) == 200
    monitor.delete(f"/api/v1/tokens/{made['id']}", headers=BEARER)
    assert (status(browser), status(other)) == (401, 200)


def test_another_bootstrap_token_ends_all_sessions_and_another_database_knows_none(
    database_url: str, clock: Clock, tmp_path: Any
) -> None:
    with monitor_on(database_url, clock) as before:
        made = before.post(
            "/api/v1/tokens", json={"name": "n", "scopes": ["read"]}, headers=BEARER
        ).json()
        cookies = [dict(logged_in(before, token).cookies) for token in (KEY, made["token"])]
    (tmp_path / "other").mkdir()
    for url, key, expected in (
        (database_url, KEY, 200),
        (database_url, KEY + "2", 401),
        (str(tmp_path / "other" / "cusp.db"), KEY, 401),
    ):
        with monitor_on(url, clock, key) as after:
            for given in cookies:
                # Under the other's name, too: what counts is the signature.
                named = {after.app.state.service.tokens.sessions.cookie_name(secure=False)}  # type: ignore[attr-defined]
                moved = dict.fromkeys(named | set(given), next(iter(given.values())))
                client = TestClient(after.app, base_url="http://m.example", cookies=moved)
                assert status(client) == expected, (url, key)


def test_an_older_cookie_of_a_wider_path_does_not_hide_the_good_one(monitor: TestClient) -> None:
    """Left over from before the monitor moved below a prefix, and ended by now."""
    old, new = logged_in(monitor), logged_in(monitor)
    ((name, ended),) = dict(old.cookies).items()
    old.post("/logout")
    for order in ((new.cookies[name], ended), (ended, new.cookies[name])):
        header = "; ".join(f"{name}={value}" for value in (*order, "nonsense"))
        assert monitor.get("/api/v1/runs", headers={"Cookie": header}).status_code == 200
    only = f"{name}={ended}; {name}=; {name}"
    assert monitor.get("/api/v1/runs", headers={"Cookie": only}).status_code == 401


@pytest.mark.parametrize(
    "cookie",
    ["", ".", "a.b.c.d", "é.é.é.é", "=" * 300, "." * 5_000, "%00", '"', "\\", "a.b.____.x"],
)
def test_a_cookie_that_is_none_of_ours_is_no_session(monitor: TestClient, cookie: str) -> None:
    ((name, _),) = dict(logged_in(monitor).cookies).items()
    header = {b"Cookie": f"{name}={cookie}".encode()}
    assert monitor.get("/api/v1/runs", headers=header).status_code == 401


def test_cookies_over_https_have_a_name_that_plain_http_cannot_set() -> None:
    one, other = (Sessions(KEY, secret, time.time) for secret in ("a", "b"))
    assert one.cookie_name(secure=True) == f"__Secure-{one.cookie_name(secure=False)}"
    assert one.cookie_name(secure=False) != other.cookie_name(secure=False)
    assert one.read([other.begin("")]) == []
    assert len({one.begin("") for _ in range(50)}) == 50


def test_a_thousand_cookies_of_one_name_cost_no_more_than_a_few() -> None:
    made = Sessions(KEY, "a", time.time)
    assert len(made.read([made.begin("") for _ in range(1_000)])) == MOST_TRIED


@pytest.mark.parametrize(
    "wanted",
    [
        *("//evil.example", "///evil.example", "https://evil.example", "evil.example", "\\\\evil"),
        *("/\\evil.example", "/\t/evil.example", "/\n/evil", "javascript:alert(1)", "", "/x y"),
        *("/é", "/" + "a" * 3_000, " //evil.example", "/\x00/evil"),
    ],
)
def test_the_log_in_leads_to_this_monitor_only(wanted: str) -> None:
    assert local(wanted) == "/"
    assert local("/runs/x?a=b%2F&c=//d#e") == "/runs/x?a=b%2F&c=//d#e"


def test_an_open_stream_ends_with_its_session(database_url: str) -> None:
    with serving(MonitorConfig(database_url, token=KEY)) as monitor:
        admin = httpx.Client(base_url=monitor.url, headers=BEARER, timeout=20)
        run = Trainer(admin)  # type: ignore[arg-type]  # asks alike
        browser = httpx.Client(base_url=monitor.url, timeout=30)
        assert browser.post("/login", data={"token": KEY}).status_code == 303
        ended, opened = threading.Event(), threading.Event()

        def watch() -> None:
            path = f"/api/v1/runs/{run.run_id}/events"
            with browser.stream("GET", path) as answer:
                for _ in answer.iter_lines():
                    opened.set()
            ended.set()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        assert opened.wait(10)
        cookies = dict(browser.cookies)
        httpx.post(f"{monitor.url}/logout", cookies=cookies)
        until = time.monotonic() + tokens.REMEMBERED_S + 10
        while not ended.is_set():
            assert time.monotonic() < until
            run.send(point(run.seq + 1, format_reward=0.5))
            time.sleep(0.3)
        thread.join(5)
        admin.close()
        browser.close()
