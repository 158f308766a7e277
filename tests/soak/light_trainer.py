"""A training without a model: the real client, real checkpoint folders, and its own notes.

    python -m tests.soak.light_trainer NOTES --steps 200 --interval 0.01

It goes on from the latest complete checkpoint, as the real trainer does. Each line of the notes is
written before (`try`) or after (`ok`) a call, by one write, so that they outlive `kill -9`; `SLOW`
metrics that only the checker knows (`value_of`) tell a wrong value from a right one.
"""

import argparse
import json
import os
import random
import shutil
import time
from pathlib import Path

import cusp
import cusp.transport.sender
from cusp.checkpoints import manifest, paths


def value_of(attempt_id: str, step: int) -> float:
    """Return the value that an attempt logs at a step: anything else in the database is wrong."""
    return random.Random(f"{attempt_id} {step}").random()


class Notes:
    """What this process did, line by line, on disk as soon as it is written."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, **entry: object) -> None:
        os.write(self._file, json.dumps(entry).encode() + b"\n")


def metrics_at(attempt_id: str, step: int, turn: int | None) -> dict[str, float]:
    """Return a step's metrics: format and accuracy break and length turns after `turn`."""
    rising = min(1.0, step / 20)
    after = 0.0 if turn is None else min(1.0, max(0.0, (step - turn) / 10))
    ripple = (random.Random(step).random() - 0.5) * 0.06
    return {
        "custom": value_of(attempt_id, step),
        "format_reward": min(1.0, max(0.0, 0.3 + 0.6 * rising - 0.6 * after + ripple)),
        "accuracy_reward": min(1.0, max(0.0, 0.3 + 0.4 * rising - 0.6 * after + ripple)),
        "completion_length": 60 - 25 * rising + 25 * after + 20 * ripple,
        "entropy": 0.5 + 0.8 * after + ripple / 4,
    }


def save(run: cusp.Run, step: int, adapter: Path | None) -> None:
    """Write a checkpoint folder as a trainer does, then register it."""
    path = run.root / f"checkpoint-{step}"
    if path.exists():
        manifest.abandon(path)
    path.mkdir(exist_ok=True)
    if adapter is None:
        (path / "adapter_model.safetensors").write_bytes(os.urandom(2_000))
    else:
        for file in adapter.glob("adapter_*"):
            shutil.copy(file, path)
        (path / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    run.checkpoint(path, step)


def train(notes: Notes, given: argparse.Namespace) -> list[float]:
    """Log the steps; return how long each call of log() took, in seconds."""
    run = cusp.init("soak", "light", must_own=True)
    notes.write(event="start", run=run.id, attempt=run.attempt_id)
    latest = paths.latest(run.root)
    first = (paths.step_of(latest) or 0) + 1 if latest else 1
    took: list[float] = []
    for step in range(first, given.steps + 1):
        if given.until and given.until.exists():
            break
        metrics = metrics_at(run.attempt_id, step, given.turn)
        notes.write(event="try", step=step)
        begun = time.perf_counter()
        run.log(metrics, step)
        took.append(time.perf_counter() - begun)
        run.sample(step, "p", f"{run.attempt_id} {step}")
        notes.write(event="ok", step=step)
        if step % given.save_every == 0:
            save(run, step, given.adapter)
        if run.should_stop():
            notes.write(event="stop", step=step)
            break
        time.sleep(given.interval)
    drained = run.finish(drain_s=given.drain)
    notes.write(event="end", drained=drained)
    return took


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("notes", type=Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--interval", type=float, default=0.01)
    parser.add_argument("--save-every", type=int, default=20)
    parser.add_argument("--until", type=Path, help="end early once this file is there")
    parser.add_argument("--retry", type=float, default=cusp.transport.sender.FIRST_RETRY_S)
    parser.add_argument("--turn", type=int, help="the step after which the training goes wrong")
    parser.add_argument("--adapter", type=Path, help="a real adapter, saved as each checkpoint")
    parser.add_argument("--drain", type=float, default=30)
    parser.add_argument("--timeout", type=float, default=cusp.transport.sender.TIMEOUT_S)
    given = parser.parse_args()
    cusp.transport.sender.TIMEOUT_S, cusp.transport.sender.FIRST_RETRY_S = (
        given.timeout,
        given.retry,
    )
    notes = Notes(given.notes)
    try:
        took = train(notes, given)
    except Exception as error:  # nothing may be raised at all: the checker fails on this line
        notes.write(event="raised", error=repr(error))
        raise
    notes.write(event="took", seconds=took)


if __name__ == "__main__":
    main()
