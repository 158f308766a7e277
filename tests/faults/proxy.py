"""A network that fails: a TCP proxy that forwards HTTP exchanges and spoils the ones it is told to.

It reads one whole request, then hands the exchange to a fault by name (`FAULTS`). What is not spoiled is
forwarded as it is. Only sockets; it knows nothing of the client or the monitor.
"""

import random
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable

JSON = "application/json"


class Exchange:
    """One request on its way: what a fault can do with it."""

    def __init__(self, proxy: "Proxy", client: socket.socket, request: bytes) -> None:
        self.proxy, self.client, self.request = proxy, client, request

    def forward(self, request: bytes | None = None) -> bytes:
        """Give the request to the monitor and return its whole answer."""
        with socket.create_connection(("127.0.0.1", self.proxy.upstream), timeout=10) as monitor:
            monitor.sendall(self.request if request is None else request)
            return read_message(monitor) or b""

    def answer(self, content: bytes) -> None:
        """Send bytes to the client."""
        self.client.sendall(content)

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        reset(self.client)

    def wait_for_the_client_to_leave(self) -> None:
        """Say nothing until the client gives up."""
        self.client.settimeout(30)
        while self.client.recv(1 << 16):
            pass

    def later(self, delay_s: float) -> None:
        """Deliver the request once more, later, as a network may."""
        self.proxy.later(delay_s, lambda: self.forward())


def _latency(one: Exchange) -> None:
    time.sleep(0.2)
    one.answer(one.forward())


def _trickle(one: Exchange) -> None:
    answer = one.forward()
    for start in range(0, len(answer), 16):
        one.answer(answer[start : start + 16])
        time.sleep(0.005)


def _reset_before(one: Exchange) -> None:
    one.reset()


def _reset_in_request(one: Exchange) -> None:
    monitor = socket.create_connection(("127.0.0.1", one.proxy.upstream), timeout=10)
    monitor.sendall(one.request[: len(one.request) * 2 // 3])
    reset(monitor)
    one.reset()


def _reset_in_answer(one: Exchange) -> None:
    answer = one.forward()
    one.answer(answer[: len(answer) // 2])
    one.reset()


def _truncated_answer(one: Exchange) -> None:
    one.answer(one.forward()[:-7])


def _ends_in_the_head(one: Exchange) -> None:
    one.answer(one.forward()[:20])


def _lost_answer(one: Exchange) -> None:
    one.forward()


def _lost_answer_reset(one: Exchange) -> None:
    one.forward()
    one.reset()


def _half_open(one: Exchange) -> None:
    one.wait_for_the_client_to_leave()


def _half_open_after_commit(one: Exchange) -> None:
    one.forward()
    one.wait_for_the_client_to_leave()


def _slow_close(one: Exchange) -> None:
    one.answer(one.forward())
    time.sleep(0.5)  # the client may begin its next request on this connection: nobody reads it


def _status(status: int, kind: str, body: bytes, *, taken: bool) -> Callable[[Exchange], None]:
    def spoil(one: Exchange) -> None:
        if taken:
            one.forward()
        one.answer(response(status, kind, body))

    return spoil


def _garbage(one: Exchange) -> None:
    one.forward()
    one.answer(random.Random(len(one.request)).randbytes(400))


def _duplicate(one: Exchange) -> None:
    one.forward()
    one.answer(one.forward())


def _late_duplicate(one: Exchange) -> None:
    one.answer(one.forward())
    one.later(0.4)


def _delivered_late(one: Exchange) -> None:
    one.later(0.4)  # the client has long sent it again when it arrives


def _refused_for_a_while(one: Exchange) -> None:
    one.proxy.shut_until = time.monotonic() + 0.7
    one.reset()


HTML = b"<html><title>log in</title></html>"
FAULTS: dict[str, Callable[[Exchange], None]] = {
    "latency": _latency,
    "trickle": _trickle,
    "reset_before": _reset_before,
    "reset_in_request": _reset_in_request,
    "reset_in_answer": _reset_in_answer,
    "truncated_answer": _truncated_answer,
    "ends_in_the_head": _ends_in_the_head,
    "lost_answer": _lost_answer,
    "lost_answer_reset": _lost_answer_reset,
    "half_open": _half_open,
    "half_open_after_commit": _half_open_after_commit,
    "slow_close": _slow_close,
    "error_500": _status(500, JSON, b'{"detail":"out of order"}', taken=False),
    "error_500_after_commit": _status(500, JSON, b'{"detail":"out of order"}', taken=True),
    "error_502": _status(502, "text/html", HTML, taken=False),
    "error_503": _status(503, "text/html", HTML, taken=False),
    "too_many_429": _status(429, "text/plain", b"slow down", taken=False),
    "timeout_408": _status(408, "text/plain", b"", taken=False),
    "wrong_400": _status(400, "text/html", HTML, taken=False),
    "wrong_404": _status(404, "text/html", HTML, taken=False),
    "wrong_413": _status(413, "text/html", HTML, taken=False),
    "redirect_302": _status(302, "text/html", HTML, taken=False),
    "log_in_page": _status(200, "text/html", HTML, taken=False),
    "garbage_json": _status(200, JSON, b'{"next_seq": tru', taken=True),
    "garbage": _garbage,
    "duplicate": _duplicate,
    "late_duplicate": _late_duplicate,
    "delivered_late": _delivered_late,
    "refused_for_a_while": _refused_for_a_while,
}


class Proxy:
    """Listens on `port` and forwards to `upstream`; faults happen in the order they were asked for."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.met: Counter[str] = Counter()
        self.shut_until = 0.0
        self._waiting: deque[str] = deque()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._timers: list[threading.Timer] = []
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def spoil(self, names: Iterable[str | None]) -> None:
        """Spoil the next exchanges, one each; None leaves one alone."""
        self._waiting.extend(name or "" for name in names)

    @property
    def waiting(self) -> int:
        """How many exchanges are still to be spoiled."""
        return len(self._waiting)

    def later(self, delay_s: float, act: Callable[[], object]) -> None:
        """Do something later, in a thread of its own."""
        timer = threading.Timer(delay_s, act)
        self._timers.append(timer)
        timer.start()

    def close(self) -> None:
        """End it, after what is still to be delivered."""
        for timer in self._timers:
            timer.join(5)
        self._listener.close()
        for connection in list(self._open):
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if time.monotonic() < self.shut_until:
                reset(client)
                continue
            self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                while request := read_message(client):
                    if not self._exchange(Exchange(self, client, request)):
                        break
            except OSError:
                pass  # either side ended the connection
        self._open.discard(client)

    def _exchange(self, one: Exchange) -> bool:
        """Serve one exchange; return whether the connection goes on."""
        name = self._waiting.popleft() if self._waiting else ""
        if not name:
            one.answer(one.forward())
            return True
        self.met[name] += 1
        FAULTS[name](one)
        return name in ("latency", "trickle", "duplicate", "late_duplicate")


def read_message(source: socket.socket) -> bytes | None:
    """Return one whole HTTP message with a Content-Length, or None when there is no other."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = source.recv(1 << 16)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n")[1:]:
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length:
        more = source.recv(1 << 16)
        if not more:
            return None
        body += more
    return head + b"\r\n\r\n" + body


def response(status: int, kind: str, body: bytes) -> bytes:
    """Return an HTTP answer as somebody on the way might give it."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\nLocation: http://127.0.0.1:9/\r\n\r\n" + body


def reset(connection: socket.socket) -> None:
    """Close with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
