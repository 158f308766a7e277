"""A recorded run of the zoo, played to a monitor as its training would send it.

Curves and held-out scores are those of the recording (`benchmarks/zoo/storage.py`); the completions of samples are
made up in the form of the tiny task, and so are price and configuration. Verifications are answered with the recorded
scores, stage by stage.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.zoo import storage
from benchmarks.zoo.storage import ZOO
from cusp.protocol.messages import VerifyOrder
from cusp.trl.verifying.held_out import Earlier, Score
from cusp.trl.verifying.rounds import Known, rounds
from cusp.trl.verifying.together import score
from tests.messages import Json, Trainer, checkpoint, point, status

SAVE_EVERY = 10
ADAPTER_BYTES = 412_684
SHAPE: Json = {
    "max_steps": 200,
    "completions_per_point": 48,
    "completion_limit_tokens": 64,
    "save_steps": SAVE_EVERY,
    "rewards": {"cosine_reward": {"low": -1.0, "high": 1.0, "graded": True}},
    "gpu_count": 2,
    "gpu_hourly_usd": 1.4,
    "recipe": True,
    "evaluable": True,
    "verifies": "training",
}
CONFIG: Json = {
    "model": {"name": "tiny", "dtype": "float32"},
    "lora": {"r": 32, "alpha": 128, "dropout": 0.05, "target_modules": "all-linear"},
    "grpo": {"learning_rate": 3e-4, "num_generations": 6, "beta": 0.0, "loss_type": "grpo"},
    "data": {"name": "tiny-arithmetic", "hard_share": 0.6},
}


class RecordedScores:
    """The recorded scores as held-out problems; those of now are of this step."""

    def __init__(self, scores: Mapping[int, list[float]], now: int) -> None:
        self._scores, self._now = scores, now
        self.problems = len(scores[now])

    def scores(self, checkpoint: Path | None, places: range) -> list[Score]:
        """Return the scores of these problems."""
        step = self._now if checkpoint is None else int(checkpoint.name)
        return [self._scores[step][place] for place in places]

    def close(self) -> None:
        """Nothing to end."""


class Recorded:
    """The trainer of one run: sends its points, saves, and does what the monitor tells it.

    `tick(step)` is called before each batch, for a clock to be moved. `answers` False: commands are heard and
    nothing more. `last` ends the recording early; `changed` may replace the metrics of a step.
    """

    def __init__(
        self,
        client: Any,
        recording: str,
        name: str,
        *,
        last: int | None = None,
        answers: bool = True,
        config: Mapping[str, Any] | None = None,
        tick: Callable[[int], None] = lambda step: None,
        changed: Callable[[int, Json], Json] = lambda step, metrics: metrics,
        **start: Any,
    ) -> None:
        self.case = storage.read(ZOO / f"{recording}.csv.gz")
        self.client, self.answers, self.tick, self.changed = client, answers, tick, changed
        self.last = last or self.case.last
        self.step = 0
        self._ids: dict[int, Json] = {}
        self._told: set[str] = set()
        self._waiting: Json | None = (
            None  # the verify command, until weights with known scores are there
        )
        self._known: Known = {}
        told = CONFIG | {"seed": 0} | dict(config or {})
        start = {"project": "tiny", "config": told, "metadata": SHAPE, "host": "l40s-1", **start}
        tick(0)
        self.trainer = Trainer(client, name=name, **start)

    @property
    def path(self) -> str:
        """The address of its page."""
        return f"/runs/{self.trainer.run_id}"

    def play(self, every: int = 5) -> "Recorded":
        """Send the recording, so many steps a batch, until its end or until it is stopped."""
        batch: list[Json] = []
        for step, metrics in self.case.points:
            if step > self.last:
                break
            self.step = step
            batch.append(point(step, **self.changed(step, dict(metrics))))
            if step % SAVE_EVERY == 0:
                batch.append(self._saved(step))
                batch += [_sample(step, place, dict(metrics)) for place in range(2)]
            if step % every == 0 or step == self.last:
                self.tick(step)
                if self._heed(self.trainer.send(*batch)["commands"]):
                    return self
                batch = []
        return self

    def end(self, name: str = "finished", **more: Any) -> "Recorded":
        """Send the word of the training's end."""
        self.trainer.send(status(name, step=self.step, **more))
        return self

    def _heed(self, commands: list[Json]) -> bool:
        """Do what is told, and return whether the run has stopped."""
        for command in commands:
            new = command["command_id"] not in self._told
            self._told.add(command["command_id"])
            if new:
                self.trainer.ack(command, "delivered")
            if not self.answers:
                continue
            if command["kind"] == "verify" and new:
                self._waiting = command
            elif command["kind"] == "keep" and new:
                self._pinned(command["steps"])
                self.trainer.ack(command, "done", step=self.step)
            elif command["kind"] == "stop":
                return self._stopped(command)
            elif new and command["kind"] != "verify":
                self.trainer.ack(command, "done", step=self.step)
        return self._verified() if self._waiting and self.step in self._scores() else False

    def _stopped(self, command: Json) -> bool:
        self.trainer.ack(command, "agreed", step=self.step)
        if self.step not in self._ids:  # a training saves where it stops
            self.trainer.send(self._saved(self.step))
        self._pinned(command["steps"])
        self.trainer.ack(command, "done", step=self.step)
        self.end("stopped", reason=command["reason"])
        return True

    def _saved(self, step: int) -> Json:
        digest = hashlib.sha256(f"{self.trainer.run_id}/{step}".encode()).hexdigest()
        self._ids[step] = checkpoint(step) | {"bytes": ADAPTER_BYTES, "sha256": digest}
        return self._ids[step]

    def _pinned(self, steps: list[int]) -> None:
        pinned = [self._ids[step] | {"state": "pinned"} for step in steps if step in self._ids]
        self.trainer.send(*pinned)

    def _scores(self) -> dict[int, list[float]]:
        bits = self.case.problems["selection"]
        return {step: of_step[:, :1].mean(axis=1).tolist() for step, of_step in bits.items()}

    def _verified(self) -> bool:
        """Answer the verification that waits, as far as it takes, and heed what follows from it."""
        command, self._waiting = self._waiting or {}, None
        order = VerifyOrder.model_validate(command["verify"])
        self.trainer.ack(command, "agreed", step=self.step)
        earlier = [Earlier(step, Path(str(step)), str(step)) for step in command["steps"]]
        held_out = RecordedScores(self._scores(), self.step)
        plan = rounds(self.step, earlier, order, held_out.problems, self._known)
        found = score(held_out, plan, lambda: False)
        assert found is not None
        answer = {
            "kind": "verification",
            "command_id": command["command_id"],
            "step": self.step,
            "scores": {str(step): values for step, values in found.scores.items()},
            "completions": found.completions,
            "seconds": 0.4 * found.completions,
        }
        self.trainer.send(answer)
        self.trainer.ack(command, "done", step=self.step)
        return self._heed(self.trainer.send()["commands"])


def _sample(step: int, place: int, metrics: Json) -> Json:
    """Return a completion of the tiny task; broken and wrong ones are as frequent as the rewards say."""
    a, b = 17 + step % 41, 8 + 13 * place
    drawn = (step * 7 + place * 11) % 20 / 20
    whole = drawn < metrics.get("format_reward", 1.0)
    right = whole and drawn < 2 * metrics.get("accuracy_reward", 1.0)
    told = a + b + (0 if right else 10)
    thought = f"<think>\nFirst take {a}, then add {b}.\n{a} + {b} = {told}"
    ending = f"\n</think>\nThe answer is $\\boxed{{{told}}}$."
    loop = f"\nWait, is {a} + {b} really {a + b}? Let me add again." * 4
    return {
        "kind": "sample",
        "step": step,
        "prompt": f"What is {a} + {b}? Think first, then put the answer within \\boxed{{}}.",
        "completion": thought + (ending if whole else loop),
        "rewards": {"format_reward": float(whole), "accuracy_reward": float(right)},
    }
