"""What every system is given to do, in its own environment: only the standard library is used here.

A worker file defines a client and calls `main(Client)`; it prints one JSON line. A step is 20 values
under the names that TRL's GRPOTrainer logs; `series` writes and reads one metric of many steps.
"""

import argparse
import json
import random
import sys
import time

NAMES = (
    "reward", "reward_std", "rewards/format_reward/mean", "rewards/accuracy_reward/mean",
    "completions/mean_length", "completions/min_length", "completions/max_length",
    "completions/clipped_ratio", "kl", "loss", "grad_norm", "learning_rate", "epoch", "num_tokens",
    "entropy", "clip_ratio/high_mean", "clip_ratio/low_mean", "clip_ratio/region_mean", "step_time",
    "frac_reward_zero_std",
)  # fmt: skip


def rows(steps: int, seed: int = 0) -> list[dict[str, float]]:
    """Return the values of so many steps."""
    rng = random.Random(seed)
    return [{name: rng.random() * (i + 1) for i, name in enumerate(NAMES)} for _ in range(steps)]


class Client:
    """One system as a training uses it. `finish` returns once everything is stored."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given

    def start(self, run: str) -> None:
        """Begin a run."""

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Log a step as the system's documentation says."""
        raise NotImplementedError

    def finish(self) -> None:
        """End the run."""

    def read(self, run: str) -> int:
        """Read the long series and return how many points came."""
        raise NotImplementedError


def log(client: Client, given: argparse.Namespace) -> dict[str, object]:
    """Log the steps, back to back or paced; time from the first call until all is stored."""
    values = rows(given.steps)
    client.start(given.run)
    time.sleep(0.5)  # what a client does after its start is no part of this
    open(f"{given.dir}/{given.run}.begun", "w").close()
    calls, called_at, cpu, began = [], [], time.process_time(), time.perf_counter()
    for step, metrics in enumerate(values):
        called_at.append(time.time())
        at = time.perf_counter_ns()
        client.log(step, metrics)
        calls.append(time.perf_counter_ns() - at)
        if given.pace:
            time.sleep(given.pace)
    client.finish()
    seconds = time.perf_counter() - began
    return {
        "points": given.steps * len(NAMES),
        "seconds": seconds,
        "cpu_s": time.process_time() - cpu,
        "calls_ns": calls,
        "called_at": called_at,
    }


def series(client: Client, given: argparse.Namespace) -> dict[str, object]:
    """Write one metric of many steps."""
    client.start(given.run)
    began = time.perf_counter()
    for step in range(given.steps):
        client.log(step, {"x": step * 0.5})
    client.finish()
    return {"points": given.steps, "seconds": time.perf_counter() - began}


def read(client: Client, given: argparse.Namespace) -> dict[str, object]:
    """Read it back; the first reading warms up and does not count."""
    found, times = client.read(given.run), []
    for _ in range(3):
        began = time.perf_counter()
        found = client.read(given.run)
        times.append(time.perf_counter() - began)
    return {"points": found, "seconds": min(times)}


def main(client: type[Client]) -> None:
    """Do what the command line says and print the result as one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("log", "series", "read"))
    parser.add_argument("--dir", required=True)
    parser.add_argument("--url", default="")
    parser.add_argument("--run", required=True)
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--pace", type=float, default=0.0)
    parser.add_argument("--how", default="")
    given = parser.parse_args()
    found = {"log": log, "series": series, "read": read}[given.what](client(given), given)
    sys.stdout.flush()
    print("\n" + json.dumps(found), flush=True)
