"""A monitor of a few lines on a real port: keeps every message of a trainer, hands out the commands of a test."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from transformers import TrainerCallback

from cusp import Run
from cusp.ids import new_id
from tests.in_thread import ServedInThread

Json = dict[str, Any]
OVER = ("done", "refused")


class AskingMonitor(ServedInThread):
    """`ask` hands a command to the trainer until it is done or refused; `POST /ask` does so from a process."""

    def __init__(self) -> None:
        self.starts: list[Json] = []
        self.messages: list[Json] = []
        self._commands: dict[str, Json] = {}
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()
        self._serve(ThreadingHTTPServer(("127.0.0.1", 0), self._handler()), 0.01)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def ask(self, kind: str, **more: Any) -> str:
        """Hand out a command; return its id."""
        command_id = new_id()
        with self._lock:
            self._commands[command_id] = {"command_id": command_id, "kind": kind, **more}
        return command_id

    def of(self, kind: str) -> list[Json]:
        """Return the messages of a kind, in order."""
        with self._lock:
            return [each for each in self.messages if each["kind"] == kind]

    def answers(self, command_id: str) -> list[Json]:
        """Return what was acknowledged of a command, after its delivery."""
        found = [ack for ack in self.of("ack") if ack["command_id"] == command_id]
        return [ack for ack in found if ack["state"] != "delivered"]

    def steps(self) -> list[int]:
        """Return the steps of the points."""
        return [point["step"] for point in self.of("point")]

    def _reply(self, path: str, body: Json) -> Json:
        if path == "/ask":
            return {"id": self.ask(**body)}
        with self._lock:
            if path.endswith("/batches"):
                return self._batch(body)
            self.starts.append(body)
        return {}

    def _batch(self, body: Json) -> Json:
        attempt, first = body["attempt_id"], body["first_seq"]
        seen = self._seen.get(attempt, 0)
        new = body["messages"][max(0, seen - first) :]
        self.messages += new
        self._seen[attempt] = max(seen, first + len(body["messages"]))
        for message in new:
            if message["kind"] == "ack" and message["state"] in OVER:
                self._commands.pop(message["command_id"], None)
        return {"next_seq": self._seen[attempt], "commands": list(self._commands.values())}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        monitor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
                text = json.dumps(monitor._reply(self.path.removeprefix("/api/v1"), body)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class AskToVerify(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Before each of the named steps, asks for a verification against these steps and waits until it can begin."""

    def __init__(
        self,
        url: str,
        run_of: Callable[[], Run | None],
        at: Mapping[int, Sequence[int]],
        stages: Sequence[int] = (8,),
    ) -> None:
        self._url, self._run_of, self._at, self._stages = url, run_of, dict(at), list(stages)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        steps, run = self._at.pop(state.global_step + 1, None), self._run_of()
        if steps is None or run is None:
            return
        run.settle()
        order = {"stages": self._stages, "alpha": 1e-9, "budget": 1_000}
        body = {"kind": "verify", "steps": list(steps), "verify": order}
        answer = httpx.post(f"{self._url}/ask", json=body).raise_for_status()
        heard(run, answer.json()["id"])


def heard(run: Run, command_id: str) -> None:
    """Wait until the training knows a command and its keeper has done what it could."""
    until = time.monotonic() + 20
    assert run._sender is not None
    while command_id not in run.commands:
        assert time.monotonic() < until, "the command never came"
        run._sender.wake()
        time.sleep(0.02)
    run.settle()
