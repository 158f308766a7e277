"""What real browsers send with a request that acts, from our pages and from others'; and what nobody should."""

import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cusp.ids import new_id
from monitor.app import create_app
from monitor.settings import MonitorConfig
from tests.conftest import MonitorProcess

KEY = "the-bootstrap-token-of-a-test"
OWN = "https://m.example"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[TestClient]:
    """A browser that is logged in over https."""
    app = create_app(MonitorConfig(str(tmp_path / "cusp.db"), token=KEY))
    with TestClient(app, base_url=OWN, follow_redirects=False) as client:
        assert client.post("/login", data={"token": KEY}).status_code == 303
        yield client


def acts(browser: TestClient, headers: dict[str, Any]) -> bool:
    """Return whether a request with these headers got through to the route (which knows no such run)."""
    status = browser.post(f"/api/v1/runs/{new_id()}/stop", json={}, headers=headers).status_code
    assert status in (403, 404)
    return status == 404


OURS: list[dict[str, Any]] = [
    {"Origin": OWN, "Sec-Fetch-Site": "same-origin"},  # fetch and forms, over https
    {"Origin": OWN},  # browsers that have no Sec-Fetch-Site
    {"Origin": "null", "Sec-Fetch-Site": "same-origin"},  # a form of a page with no-referrer
    {"Origin": "https://M.example:443"},
    {"Origin": OWN, "Host": "m.example:443"},  # nginx: proxy_set_header Host $host:$server_port
    {"Origin": OWN, "Sec-Fetch-Site": "same-origin", "Host": "127.0.0.1:8787"},  # nginx without it
    {"Sec-Fetch-Site": "none"},  # a person: the page sent again after a restart
    {"Referer": f"{OWN}/runs/01J"},
    {},  # a program
]
OTHERS: list[dict[str, Any]] = [
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": OWN, "Sec-Fetch-Site": "cross-site"},
    {"Origin": OWN, "Sec-Fetch-Site": "same-site"},  # another port, another sub-domain
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "something new"},
    {"Sec-Fetch-Site": ""},
    {"Origin": "null"},  # a sandboxed frame
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "https://m.example.evil"},
    {"Origin": "https://m.example:8443"},
    {"Origin": "http://m.example"},  # somebody on the network wrote that page
    {"Origin": "https://user@m.example"},
    {"Origin": f"{OWN}.", "Sec-Fetch-Site": "same-site"},
    {"Origin": "chrome-extension://abcdef"},
    {"Origin": "file://"},
    {"Referer": "https://evil.example/"},
    {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},  # no proxy said so
]


@pytest.mark.parametrize("headers", OURS, ids=str)
def test_our_own_pages_act(browser: TestClient, headers: dict[str, str]) -> None:
    assert acts(browser, headers)


@pytest.mark.parametrize("headers", OTHERS, ids=str)
def test_pages_of_others_do_not_act(browser: TestClient, headers: dict[str, str]) -> None:
    assert not acts(browser, headers)
    for path in ("/login", "/logout"):
        assert browser.post(path, data={"token": KEY}, headers=headers).status_code == 403
    assert browser.get("/api/v1/runs").status_code == 200  # and the session goes on


UNREADABLE = [
    "http://[",
    "http://[::1",
    "//[",
    "http://[::1]]",
    "http://m:port",
    "http://m:99999",
    "http://m:-1",
    "http://\u2100.example",
    "http://\uff0f.example",
    "\xff\xfe",
    "http://" + "a" * 3_000,
    "://",
    "[",
    "http://@",
    "http://m example",
    "http://m/..",
    "http://m\\n",
]


@pytest.mark.parametrize("name", ["Origin", "Referer", "Host"])
@pytest.mark.parametrize("value", UNREADABLE)
@pytest.mark.parametrize("key", [KEY, None])
def test_what_cannot_be_read_is_refused_with_a_sentence(
    tmp_path: Path, name: str, value: str, key: str | None
) -> None:
    app = create_app(MonitorConfig(str(tmp_path / "cusp.db"), token=key))
    client = TestClient(app, base_url="http://127.0.0.1:8787")
    value = value.removeprefix("http://") if name == "Host" else value
    headers = {name.encode(): value.encode("utf-8"), b"Authorization": f"Bearer {KEY}".encode()}
    answer = client.post("/api/v1/runs", json={}, headers=headers)
    # Any name may be a host's where a token is asked for: then it is the body that is refused.
    named = name == "Host" and key and not set("[]:@/ ") & set(value)
    assert answer.status_code in ((400, 422) if named else (400, 403))
    assert len(answer.json()["detail"]) < 500


def spoken(port: int, request: bytes) -> bytes:
    """Return the first line of the answer to bytes as they are; empty where there was none."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        try:
            return connection.recv(4_096).partition(b"\r\n")[0]
        except (TimeoutError, ConnectionError):
            return b""


HEADERS = [
    *("Host", "Origin", "Referer", "Cookie", "Authorization", "Accept", "Accept-Encoding"),
    *("Sec-Fetch-Site", "Sec-Fetch-Mode", "X-Forwarded-For", "X-Forwarded-Proto"),
    *("X-Forwarded-Prefix", "X-Forwarded-Host", "Forwarded", "If-None-Match", "Last-Event-ID"),
    *("Idempotency-Key", "Content-Type", "Content-Encoding"),
]
PIECES = (
    "http:// https:// // [ ] :: [::1] : :0 :99999 @ / \\ % %00 %ff .. # ? , ; = \" ' null \xff \u2100"
    " localhost 127.0.0.1 0 -1 1e9 NaN " + "9" * 40 + " gzip;q= cusp_ Bearer text/html same-origin"
).split(" ")
TARGETS = (
    "/",
    "/login",
    "/login?next=",
    "/logout",
    "/static/css/base.css",
    "/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "/api/v1/runs?project=",
    "/api/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV/series?since=",
    "/api/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV/samples?step=",
    "/api/v1/audit?before=",
    "/api/v1/jobs?waiting=",
    "/api/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV/events?after=x&x=",
)


def nonsense(rng: random.Random) -> bytes:
    text = "".join(rng.choice(PIECES) for _ in range(rng.randint(0, 4)))
    return text.encode("utf-8" if rng.random() < 0.5 else "latin-1", "replace")


def test_no_header_and_no_address_makes_the_monitor_fail(monitor_process: MonitorProcess) -> None:
    """5xx answers and tracebacks in the log are defects, whatever the bytes."""
    monitor = monitor_process
    monitor.token = KEY
    monitor.start()
    rng = random.Random(7)
    seen: dict[bytes, int] = {}
    known = f"Authorization: Bearer {KEY}\r\n".encode()
    until = time.monotonic() + 20
    count = 0
    while count < 2_000 and time.monotonic() < until:
        count += 1
        target = rng.choice(TARGETS).encode() + nonsense(rng).replace(b" ", b"")
        chosen = rng.sample(HEADERS, rng.randint(0, 3))
        lines = b"".join(n.encode() + b": " + nonsense(rng) + b"\r\n" for n in chosen)
        host = b"" if "Host" in chosen else b"Host: 127.0.0.1\r\n"
        given = known if rng.random() < 0.5 and "Authorization" not in chosen else b""
        method = rng.choice((b"GET", b"GET", b"POST", b"DELETE"))
        head = method + b" " + target + b" HTTP/1.1\r\n" + host + given + lines
        answer = spoken(monitor.port, head + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        status = answer[9:12]
        seen[status] = seen.get(status, 0) + 1
        assert not status.startswith(b"5"), head
    assert {b"200", b"303", b"400", b"401", b"403"} <= set(seen), seen
    assert count > 200
    assert "Traceback" not in (monitor.folder / "monitor.log").read_text()
