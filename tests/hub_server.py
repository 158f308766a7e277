"""A data set of the Hugging Face hub, served on this machine in the hub's own words (its REST API of 2026)."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.in_thread import ServedInThread

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILE = "data/train.jsonl"
BLOB = "a" * 40


class HubServer(ServedInThread):
    """Serves the rows of one data set at one commit; `asked` holds the path of each request."""

    def __init__(self, repository: str, rows: list[dict[str, Any]]) -> None:
        self.asked: list[str] = []
        self._api = f"/api/datasets/{repository}"
        self._content = f"/datasets/{repository}/resolve/{COMMIT}/{FILE}"
        self._data = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        self._serve(ThreadingHTTPServer(("127.0.0.1", 0), self._handler()))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers for a path without its query."""
        if path in (f"{self._api}/revision/main", f"{self._api}/revision/{COMMIT}"):
            about = {"id": self._api.removeprefix("/api/datasets/"), "sha": COMMIT, "tags": []}
            return 200, json.dumps({**about, "siblings": [{"rfilename": FILE}]}).encode(), {}
        if path.startswith(f"{self._api}/tree/{COMMIT}"):
            size = len(self._data)
            file = {"type": "file", "path": FILE, "size": size, "oid": BLOB}
            folder = {"type": "directory", "path": "data", "oid": "b" * 40}
            return 200, json.dumps([file if path.endswith("/data") else folder]).encode(), {}
        if path == self._content:
            return 200, self._data, {"ETag": f'"{BLOB}"', "X-Repo-Commit": COMMIT}
        missing = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}
        return 404, b'{"error": "Entry not found"}', missing

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                hub.asked.append(path)
                status, body, headers = hub.answer(path)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
