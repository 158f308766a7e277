"""A small generated log with one transition, and the places of the shared ones."""

import csv
import json
from pathlib import Path

from monitor.detector import Sample
from tests.monitor.detector.runs import learning, noisy_factor, noisy_share, ramp, samples

SHARED = Path(__file__).resolve().parents[4] / "shared/data/grpo_logs/runs"
STEPS, TRANSITION = 260, 150


def turning_run() -> list[Sample]:
    """Return a run that learns the format, and loses it after step 150."""
    fallen = ramp(STEPS, TRANSITION, TRANSITION + 5)
    return samples(
        format_reward=noisy_share(learning(STEPS) - 0.35 * fallen, 1),
        accuracy_reward=noisy_share(learning(STEPS, 0.2, 0.7) - 0.4 * fallen, 2),
        completion_length=noisy_factor(900 - 300 * ramp(STEPS, 20, 80) + 250 * fallen, 3, 0.05),
    )


def healthy_run() -> list[Sample]:
    """Return a run that learns the format and stays."""
    return samples(
        format_reward=noisy_share(learning(STEPS), 4),
        completion_length=noisy_factor(900 - 300 * ramp(STEPS, 20, 80), 5, 0.05),
    )


TRL = {
    "format_reward": "rewards/format_reward/mean",
    "accuracy_reward": "rewards/accuracy_reward/mean",
    "completion_length": "completions/mean_length",
}


def write_csv(file: Path, run: list[Sample], names: dict[str, str] | None = None) -> Path:
    """Write a CSV with the given column names."""
    named = names or {}
    columns = sorted({name for sample in run for name in sample.metrics})
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["step", *(named.get(c, c) for c in columns)])
        writer.writerows([s.step, *(s.metrics.get(c, "") for c in columns)] for s in run)
    return file


def write_jsonl(file: Path, run: list[Sample]) -> Path:
    """Write JSON Lines under TRL's names."""
    rows = [{"step": s.step, **{TRL[n]: v for n, v in s.metrics.items()}} for s in run]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def write_state(file: Path, run: list[Sample], save_steps: int = 50) -> Path:
    """Write a `trainer_state.json`."""
    history = [{"step": s.step, **{TRL[n]: v for n, v in s.metrics.items()}} for s in run]
    state = {"global_step": run[-1].step, "save_steps": save_steps, "max_steps": run[-1].step}
    file.write_text(json.dumps({**state, "log_history": history}, indent=1))
    return file
