"""Real receivers of webhooks, on this machine: an HTTP server in a thread, and raw TCP ones that misbehave."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.in_thread import ServedInThread

Json = dict[str, Any]


class Receiver(ServedInThread):
    """Takes POSTs and remembers them; answers with the statuses given, the last one for ever."""

    def __init__(
        self,
        *statuses: int,
        host: str = "127.0.0.1",
        port: int = 0,
        location: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._statuses = list(statuses) or [204]
        self._location = location
        self.before_answering: Callable[[], object] = lambda: None
        self._serve(ThreadingHTTPServer((host, port), self._handler()))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.host, self.port = host, int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hook"

    @property
    def messages(self) -> list[Json]:
        """What arrived, read."""
        return [json.loads(body) for body in self.bodies]

    @property
    def topics(self) -> list[str]:
        return [message["topic"] for message in self.messages]

    def wait_for(self, count: int, timeout_s: float = 15.0) -> None:
        until = time.monotonic() + timeout_s
        while len(self.bodies) < count:
            assert time.monotonic() < until, f"{len(self.bodies)} of {count} deliveries came"
            time.sleep(0.02)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.paths.append(self.path)
                receiver.headers.append(dict(self.headers.items()))
                receiver.bodies.append(body)
                receiver.before_answering()
                status = receiver._statuses[0]
                if len(receiver._statuses) > 1:
                    receiver._statuses.pop(0)
                self.send_response(status)
                if receiver._location:
                    self.send_header("Location", receiver._location)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def raw(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Give the port of a TCP server that does with each connection as it is told."""
    closing = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def accept() -> None:
            while not closing.is_set():
                with suppress(TimeoutError):
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.settimeout(10)
                        serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        closing.set()
        thread.join(12)
