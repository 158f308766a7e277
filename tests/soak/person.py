"""A person at the page, who repeats a request with the same key until there is an answer."""

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from cusp.ids import new_id
from tests.soak.actors import Box, Trainer


@dataclass
class Person:
    """Promotes each checkpoint at most once, and sometimes stops a run."""

    box: Box
    rng: random.Random
    trainers: list[Trainer]
    enough: threading.Event = field(default_factory=threading.Event)
    promoted: list[tuple[str, str]] = field(default_factory=list)
    stopped: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        with httpx.Client(base_url=f"{self.box.url}/api/v1", timeout=5, trust_env=False) as http:
            while not self.enough.wait(self.rng.uniform(1.0, 4.0)):
                started = [t.run_id for t in self.trainers if t.run_id]
                if started:
                    self._act(http, self.rng.choice(started))

    def _act(self, http: httpx.Client, run_id: str) -> None:
        if self.rng.random() < 0.1:
            answer = self._until_answered(http, f"/runs/{run_id}/stop", {"reason": "enough"})
            if answer:
                self.stopped.append((run_id, answer["id"]))
            return
        known = self._ask(http, "GET", f"/runs/{run_id}/checkpoints")
        done = {checkpoint_id for _, checkpoint_id in self.promoted}
        there = known.json()["checkpoints"] if known is not None and known.is_success else []
        new = [one["id"] for one in there if one["id"] not in done]
        if new:
            chosen = self.rng.choice(new)
            path = f"/checkpoints/{chosen}/promote"
            if self._until_answered(http, path, {"alias": "production"}):
                self.promoted.append(("production", chosen))

    def _until_answered(self, http: httpx.Client, path: str, body: Any) -> Any:
        """Repeat with one key until there is an answer, and once more: it must be the same."""
        headers = {"Idempotency-Key": new_id()}
        answers: list[Any] = []
        until = time.monotonic() + 60
        while len(answers) < 2 and time.monotonic() < until:
            answer = self._ask(http, "POST", path, json=body, headers=headers)
            if answer is None or answer.status_code >= 500:
                time.sleep(0.2)
            elif answer.is_error:
                return None  # the run has ended meanwhile
            else:
                answers.append(answer.json())
        same = [{k: v for k, v in each.items() if "state" not in k} for each in answers]
        if len(same) == 2 and same[0] != same[1]:
            self.wrong.append(f"{path} was answered {same[0]}, then {same[1]}")
        return answers[0] if answers else None

    def _ask(self, http: httpx.Client, method: str, path: str, **more: Any) -> Any:
        try:
            return http.request(method, path, **more)
        except httpx.HTTPError:
            return None
