"""A reverse proxy as people set it up: under a path prefix, with TLS or without, kept or stripped."""

import http.client
import ssl
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.in_thread import ServedInThread

_OF_THE_WAY = ("connection", "transfer-encoding", "keep-alive")


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that does not take the certificate hangs up."""


class ReverseProxy(ServedInThread):
    """Passes on what is asked below `prefix`; everything else is a 404, noted in `missed`.

    `strips`: the monitor is asked without the prefix. `says`: X-Forwarded-Prefix is sent.
    `keeps_host`: the Host header is passed on as it came, else it names the monitor.
    """

    def __init__(
        self,
        port: int,
        prefix: str = "",
        *,
        strips: bool = True,
        says: bool = False,
        keeps_host: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._inner, self._prefix = port, prefix
        self._strips, self._says, self._keeps_host = strips, says, keeps_host
        self.missed: list[str] = []
        self.packed: list[str] = []  # paths whose answers came gzipped
        self._serve(_Server(("127.0.0.1", 0), self._handler()))
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._scheme = "https" if tls else "http"
        self.port = int(self._server.server_address[1])

    def url(self, host: str = "127.0.0.1") -> str:
        """Return where the monitor is for those outside."""
        return f"{self._scheme}://{host}:{self.port}{self._prefix}"

    def _headers(self, given: dict[str, str], client: str) -> dict[str, str]:
        passed = {k: v for k, v in given.items() if k.lower() not in _OF_THE_WAY}
        if not self._keeps_host:
            passed = {k: v for k, v in passed.items() if k.lower() != "host"}
        passed |= {"X-Forwarded-For": client, "X-Forwarded-Proto": self._scheme}
        return passed | ({"X-Forwarded-Prefix": self._prefix} if self._says else {})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                inside = self.path == proxy._prefix or self.path.startswith(f"{proxy._prefix}/")
                if not inside:
                    proxy.missed.append(self.path)
                    self.send_error(404)
                    return
                path = self.path.removeprefix(proxy._prefix) if proxy._strips else self.path
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                asked = http.client.HTTPConnection("127.0.0.1", proxy._inner, timeout=60)
                headers = proxy._headers(dict(self.headers.items()), self.client_address[0])
                # The viewer may leave, and the monitor may end, at any byte.
                with closing(asked), suppress(OSError, http.client.HTTPException):
                    asked.request(self.command, path or "/", body or None, headers)
                    with closing(asked.getresponse()) as found:
                        self.relay(path, found)

            def relay(self, path: str, found: http.client.HTTPResponse) -> None:
                if found.headers.get("content-encoding") == "gzip":
                    proxy.packed.append(path)
                self.send_response(found.status)
                for name, value in found.headers.items():
                    if name.lower() not in _OF_THE_WAY:
                        self.send_header(name, value)
                self.end_headers()
                while part := found.read1(65_536):
                    self.wfile.write(part)
                    self.wfile.flush()

            do_GET = do_POST = do_DELETE = do_PATCH = answer

            def log_message(self, *_: object) -> None:
                pass

        return Handler
