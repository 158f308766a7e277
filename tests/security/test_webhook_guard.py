"""The edge of webhooks, on real sockets: where a POST goes, how long it may take, what it may read."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
import trustme

from monitor.webhooks.client import Outcome, post
from monitor.webhooks.ssrf import allowed_networks, parse
from tests.receivers import Receiver, raw

LOOPBACK = allowed_networks("127.0.0.0/8")
HEADERS = {"Content-Type": "application/json"}
BODY = b'{"id": "1"}'
NAME = "hooks.example"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that only this test trusts."""
    return trustme.CA()


def trusting(authority: trustme.CA | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authority is not None:
        authority.configure_trust(context)
    return context


def serving(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def names(*answers: str) -> Callable[[str, int], Sequence[str]]:
    """Return a resolver that gives one answer after another, the last one for ever."""
    left = list(answers)
    return lambda _host, _port: [left.pop(0) if len(left) > 1 else left[0]]


def sent(
    url: str,
    *addresses: str,
    allowed: str = "127.0.0.0/8",
    trusted: trustme.CA | None = None,
    deadline_s: float = 5.0,
) -> Outcome:
    return post(
        parse(url),
        HEADERS,
        BODY,
        allowed=allowed_networks(allowed),
        context=trusting(trusted),
        look_up=names(*(addresses or ("127.0.0.1",))),
        deadline_s=deadline_s,
    )


def test_a_delivery_arrives_over_https_under_the_names_certificate(authority: trustme.CA) -> None:
    with Receiver(200, tls=serving(authority, NAME)) as receiver:
        outcome = sent(f"https://{NAME}:{receiver.port}/a?b=c", trusted=authority)
    assert outcome == Outcome(200, None)
    assert (receiver.bodies, receiver.paths) == ([BODY], ["/a?b=c"])
    assert receiver.headers[0]["Host"] == f"{NAME}:{receiver.port}"


@pytest.mark.parametrize(
    ("name", "trusted", "said"),
    [("other.example", True, "is for another name"), (NAME, False, "is not trusted")],
)
def test_a_certificate_of_another_name_or_of_nobody_is_refused(
    authority: trustme.CA, name: str, trusted: bool, said: str
) -> None:
    with Receiver(200, tls=serving(authority, name)) as receiver:
        url = f"https://{NAME}:{receiver.port}/"
        outcome = sent(url, trusted=authority if trusted else None)
    assert not outcome.is_success
    assert said in str(outcome.error)
    assert receiver.bodies == []


def test_a_receiver_that_wants_a_certificate_of_ours_is_one_sentence(authority: trustme.CA) -> None:
    strict = serving(authority, NAME)
    strict.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(strict)

    def refusing(connection: socket.socket) -> None:
        with suppress(ssl.SSLError):
            strict.wrap_socket(connection, server_side=True)

    with raw(refusing) as port:
        outcome = sent(f"https://{NAME}:{port}/", trusted=authority)
    # Its alert may be overtaken by the end of the connection.
    assert re.search(
        "cannot be reached: .*(certificate required|lost|reset by peer|Broken pipe)",
        str(outcome.error),
    )


def test_a_name_that_is_rebound_after_the_look_gets_nothing(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's resolver says the good address once and then the inner one, as an attacker's would."""
    asked: list[str] = []

    def rebinding(host: str, port: int, *rest: object, **more: object) -> Any:
        if host in ("127.0.0.2", "127.0.0.3"):  # an address, not a name
            return known(host, port, *rest, **more)
        asked.append(host)
        return known("127.0.0.2" if len(asked) == 1 else "127.0.0.3", port, type=socket.SOCK_STREAM)

    known: Any = socket.getaddrinfo
    with Receiver(host="127.0.0.2", tls=serving(authority, NAME)) as outside:
        inner = Receiver(host="127.0.0.3", port=outside.port, tls=serving(authority, NAME))
        with inner:
            monkeypatch.setattr(socket, "getaddrinfo", rebinding)
            outcome = post(
                parse(f"https://{NAME}:{outside.port}/"),
                HEADERS,
                BODY,
                allowed=allowed_networks("127.0.0.2"),
                context=trusting(authority),
            )
    assert (inner.bodies, outside.bodies) == ([], [BODY]), "the name was looked up again"
    assert outcome.is_success
    assert asked == [NAME]


def test_a_name_that_points_inside_is_not_even_connected_to() -> None:
    with Receiver() as receiver:
        outcome = sent(f"https://{NAME}:{receiver.port}/", "127.0.0.1", allowed="10.0.0.0/8")
    assert "inside a network that is not public" in str(outcome.error)
    assert receiver.bodies == []


@pytest.mark.parametrize("spelling", ["127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1"])
def test_an_unusual_spelling_of_this_machine_is_seen_through(spelling: str) -> None:
    with Receiver() as receiver:
        outcome = post(
            parse(f"https://{spelling}:{receiver.port}/"),
            HEADERS,
            BODY,
            allowed=(),
            context=trusting(None),
        )
    assert "127.0.0.1" in str(outcome.error)
    assert receiver.bodies == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with Receiver() as elsewhere, Receiver(status, location=elsewhere.url) as receiver:
        outcome = sent(receiver.url)
    assert outcome.status == status
    assert "a redirect, which is not followed" in str(outcome.error)
    assert (len(receiver.bodies), elsewhere.bodies) == (1, [])


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert sent(receiver.url).is_success
    assert (len(receiver.bodies), proxy.bodies) == (1, [])


def whole_request(connection: socket.socket) -> None:
    """Read the head and the body: whoever closes with bytes unread resets the connection."""
    request = b""
    while not request.endswith(BODY):
        request += connection.recv(65_536)


def silent(connection: socket.socket) -> None:
    while connection.recv(65_536):  # until the other side goes
        pass


def dripping(connection: socket.socket) -> None:
    for letter in b"HTTP/1.1 200 " + b"O" * 200:
        connection.sendall(bytes([letter]))
        time.sleep(0.05)


def dripping_handshake(connection: socket.socket) -> None:
    connection.sendall(
        b"\x16\x03\x03\x40\x00"
    )  # a record of 16 KiB, of which a byte comes now and then
    dripping(connection)


@pytest.mark.parametrize(
    ("scheme", "serve"),
    [("http", silent), ("http", dripping), ("https", silent), ("https", dripping_handshake)],
)
def test_a_receiver_that_takes_its_time_is_left_at_the_deadline(
    scheme: str, serve: Callable[[socket.socket], None]
) -> None:
    with raw(serve) as port:
        started = time.monotonic()
        outcome = sent(f"{scheme}://127.0.0.1:{port}/", deadline_s=0.4)
        took_s = time.monotonic() - started
    assert not outcome.is_success
    assert took_s < 1.5, outcome
    assert "did not answer within" in str(outcome.error)


def test_a_resolver_that_hangs_is_left_at_the_deadline() -> None:
    never = threading.Event()

    def hanging(_host: str, _port: int) -> list[str]:
        never.wait(10)
        return ["127.0.0.1"]

    started = time.monotonic()
    outcome = post(
        parse("https://hooks.example/"),
        HEADERS,
        BODY,
        allowed=(),
        context=trusting(None),
        look_up=hanging,
        deadline_s=0.3,
    )
    took_s = time.monotonic() - started
    never.set()
    assert took_s < 1.5
    assert "cannot be resolved: no answer within" in str(outcome.error)


def test_an_endless_answer_is_read_to_the_limit_only() -> None:
    written: list[int] = []

    def endless(connection: socket.socket) -> None:
        whole_request(connection)
        for _ in range(5_000):
            written.append(connection.send(b"x" * 65_536))

    with raw(endless) as port:
        started = time.monotonic()
        outcome = sent(f"http://127.0.0.1:{port}/", deadline_s=8.0)
        took_s = time.monotonic() - started
    assert "gave no answer in HTTP: " in str(outcome.error)
    assert took_s < 2
    assert sum(written) < 50_000_000, "it was read to its end"


def test_an_answer_counts_as_soon_as_its_first_line_is_there() -> None:
    def endless_body(connection: socket.socket) -> None:
        whole_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x" * 1_000)
            time.sleep(0.05)

    with raw(endless_body) as port:
        started = time.monotonic()
        assert sent(f"http://127.0.0.1:{port}/").is_success
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "answer",
    [b"", b"hello\r\n", b"HTTP/1.1 abc\r\n", b"HTTP/1.1 2000 OK\r\n", b"220 smtp ready\r\n"],
)
def test_what_is_no_http_is_no_success(answer: bytes) -> None:
    def other(connection: socket.socket) -> None:
        whole_request(connection)
        connection.sendall(answer)

    with raw(other) as port:
        outcome = sent(f"http://127.0.0.1:{port}/")
    assert not outcome.is_success
    assert "gave no answer in HTTP: " in str(outcome.error)


def test_a_receiver_that_is_away_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    outcome = sent(f"http://127.0.0.1:{port}/")
    assert f"127.0.0.1:{port} cannot be reached: Connection refused" in str(outcome.error)


def test_the_second_of_two_checked_addresses_is_tried() -> None:
    with Receiver(host="127.0.0.3") as receiver:
        outcome = post(
            parse(f"http://{NAME}:{receiver.port}/"),
            HEADERS,
            BODY,
            allowed=LOOPBACK,
            context=trusting(None),
            look_up=lambda *_: ["127.0.0.2", "127.0.0.3"],
        )
    assert outcome.is_success
    assert receiver.bodies == [BODY]
