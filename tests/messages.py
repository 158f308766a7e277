"""Small builders of wire messages for the tests."""

from typing import Any

from fastapi.testclient import TestClient

from cusp.ids import new_id

Json = dict[str, Any]


def point(step: int, **metrics: float) -> Json:
    return {"kind": "point", "step": step, "metrics": metrics or {"reward": float(step)}}


def checkpoint(step: int, checkpoint_id: str | None = None, state: str = "present") -> Json:
    return {
        "kind": "checkpoint",
        "checkpoint_id": checkpoint_id or new_id(),
        "step": step,
        "path": f"checkpoint-{step}",
        "sha256": f"{step:064x}",
        "bytes": 10,
        "state": state,
    }


def status(name: str, **more: Any) -> Json:
    return {"kind": "status", "status": name, **more}


class Trainer:
    """The trainer's side of the wire, by hand: announces, sends, repeats at will."""

    def __init__(self, api: TestClient, run_id: str | None = None, **start: Any) -> None:
        self.api = api
        self.run_id = run_id or new_id()
        self.attempt_id = new_id()
        self.seq = 0
        self.start = {"run_id": self.run_id, "attempt_id": self.attempt_id, "name": "n", **start}
        self.announce()

    def announce(self) -> None:
        answer = self.api.post("/api/v1/runs", json=self.start)
        assert answer.status_code == 200, answer.text

    def send(self, *messages: Json, first_seq: int | None = None, **more: Any) -> Json:
        """Post a batch and return the reply; without `first_seq` it goes on where the last ended."""
        seq = self.seq if first_seq is None else first_seq
        body = {"attempt_id": self.attempt_id, "first_seq": seq, "messages": messages, **more}
        answer = self.api.post(f"/api/v1/runs/{self.run_id}/batches", json=body)
        assert answer.status_code == 200, answer.text
        reply: Json = answer.json()
        self.seq = reply["next_seq"]
        return reply

    def get(self, path: str = "", **query: Any) -> Json:
        answer = self.api.get(f"/api/v1/runs/{self.run_id}{path}", params=query)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """Return the effective steps and values of one metric."""
        found = self.get("/series", names=name)["series"]
        return (found[0]["steps"], found[0]["values"]) if found else ([], [])

    def ack(self, command: Json, state: str, **more: Any) -> Json:
        return self.send(
            {"kind": "ack", "command_id": command["command_id"], "state": state, **more}
        )


def transition(
    trainer: Trainer, steps: int = 120, turn: int = 60, save_every: int = 10, first: int = 1
) -> list[Json]:
    """Send a run whose format and accuracy break and whose length turns at `turn`; return commands.

    Deterministic: a fixed ripple stands in for noise.
    """
    commands: dict[str, Json] = {}
    for step in range(first, steps + 1):
        ripple = ((step * 7919) % 13 - 6) / 200
        rising, after = min(1.0, step / 25), max(0.0, (step - turn) / 25)
        messages = [
            point(
                step,
                format_reward=min(1.0, max(0.0, 0.3 + 0.6 * rising - 0.5 * min(1, after) + ripple)),
                accuracy_reward=min(
                    1.0, max(0.0, 0.3 + 0.4 * rising - 0.6 * min(1, after) + ripple)
                ),
                completion_length=60 - 25 * rising + 25 * min(1, after) + 20 * ripple,
                entropy=0.5 + 0.8 * min(1, after) + ripple / 4,
            )
        ]
        if step % save_every == 0:
            messages.append(checkpoint(step))
        for command in trainer.send(*messages)["commands"]:
            commands[command["command_id"]] = command
        if any(command["kind"] == "stop" for command in commands.values()):
            break
    return list(commands.values())
