"""Methods that run in an environment of their own: Otava, the neighbours, two change-point packages.

    python -m benchmarks.detector.baselines.workers     makes the environment of all but Otava

CUSP_NEIGHBOURS_PYTHON names another interpreter for them, CUSP_OTAVA_PYTHON that of Otava
(otava_worker.py). focus-cpt is compiled and needs Qhull (Debian: libqhull-dev, qhull-bin). What does not
install is left out of the tables, and said so.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detector.baselines.method import LOGGED, Baseline, Course, columns
from benchmarks.detector.cases import Case

HERE = Path(__file__).resolve().parent
HOME = HERE.parents[2] / ".bench-peers/detectors"
OTAVA, NEIGHBOURS = "CUSP_OTAVA_PYTHON", "CUSP_NEIGHBOURS_PYTHON"
TRL = {
    "format_reward": "rewards/format_reward/mean",
    "accuracy_reward": "rewards/accuracy_reward/mean",
    "completion_length": "completions/mean_length",
    "clipped_ratio": "completions/clipped_ratio",
}


def interpreter(name: str) -> str | None:
    """Return the interpreter of a worker, None if there is none."""
    if name in os.environ:
        return os.environ[name]
    python = HOME / "bin/python"
    return str(python) if name == NEIGHBOURS and python.exists() else None


@cache
def _worker(name: str, script: str) -> "subprocess.Popen[str]":
    python = interpreter(name)
    if python is None:
        raise RuntimeError(f"{name} names no interpreter for {script}")
    return subprocess.Popen(
        [python, "-W", "ignore", str(HERE / script)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def asked(name: str, script: str, question: Any) -> Any:
    """Return a worker's answer to one question."""
    process = _worker(name, script)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError(f"the process of {script} has no pipes")
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{script} ended without an answer; what it printed is above")
    return json.loads(line)


def _course(said: Any, case: Case) -> Course:
    records = tuple(
        (int(i), float(score), max(int(dated), 0)) for i, score, dated in said["records"]
    )
    return Course(records, said["seconds"], len(case.points))


def otava(case: Case) -> Course:
    """Return Otava's course; a missing value repeats the last."""
    filled = columns(case)[0].copy()
    for i in range(len(filled)):
        filled[i] = np.where(np.isfinite(filled[i]), filled[i], filled[i - 1] if i else 0.0)
    return _course(asked(OTAVA, "otava_worker.py", filled.T.tolist()), case)


def neighbour(case: Case, method: str) -> Course:
    """Return the course of a method of neighbours_worker.py."""
    question: dict[str, Any] = {"method": method, "points": [], "columns": []}
    if method in ("focus-cpt", "skchange"):
        stable = columns(case)[1]
        question["columns"] = [
            [v if np.isfinite(v) else None for v in row] for row in stable.tolist()
        ]
    else:
        question |= {
            "points": [(step, _as_trl(metrics)) for step, metrics in case.points],
            "completions": case.completions, "limit": case.completion_limit, "group": case.group,
        }  # fmt: skip
    return _course(asked(NEIGHBOURS, "neighbours_worker.py", question), case)


def _as_trl(metrics: Any) -> dict[str, float]:
    """Return metrics as TRL names them; a combined reward is added where a log has none."""
    named = {TRL.get(name, name): value for name, value in metrics.items()}
    rewards = [metrics[n] for n in ("format_reward", "accuracy_reward") if n in metrics]
    if "reward" not in named and rewards:
        named["reward"] = sum(rewards)
    return named


@cache
def installed() -> dict[str, str]:
    """Return for each package of the neighbours' environment `name version`, or why it cannot be imported."""
    if interpreter(NEIGHBOURS) is None:
        return {}
    found: dict[str, str] = asked(NEIGHBOURS, "neighbours_worker.py", {"method": "?"})
    return found


def versions() -> list[str]:
    """Return the packages that can be used, `name version`."""
    return [said for name, said in installed().items() if said.startswith(f"{name} ")]


def _by(method: str) -> Callable[[Case], Course]:
    return partial(neighbour, method=method)


ALL = (
    Baseline("Otava", otava, 3.0, "p 0.001"),
    Baseline("focus-cpt", _by("focus-cpt"), 20.0, "threshold 20, its README's"),
    Baseline("skchange", _by("skchange"), 1e-9, "any bad change, SeededBinarySegmentation()"),
    Baseline("rldoctor", _by("rldoctor"), 1.0, "halt_on critical", calibrated=False, grounds=LOGGED),
    Baseline("rlprobe", _by("rlprobe"), 1.0, "halt=True", calibrated=False, grounds=LOGGED),
    Baseline("rlwatch", _by("rlwatch"), 1.0, "critical alert", calibrated=False, grounds=LOGGED),
)  # fmt: skip


def available() -> tuple[list[Baseline], list[str]]:
    """Return the methods that can run here, and a sentence for each that cannot."""
    there = {name.rsplit(" ", 1)[0] for name in versions()}
    if interpreter(OTAVA):
        there.add("Otava")
    why = {"Otava": f"{OTAVA} names no interpreter"}
    missing = [
        f"{b.name} is left out: "
        + (why | installed()).get(b.name, "it is not installed (make bench-detectors-env)")
        for b in ALL
        if b.name not in there
    ]
    return [b for b in ALL if b.name in there], missing


def make() -> None:
    """Make the environment, a package at a time: one that cannot be built does not keep out the others."""
    subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
    for line in (HERE / "neighbours.txt").read_text().splitlines():
        command = [str(HOME / "bin/python"), "-m", "pip", "install", "--quiet", line]
        done = subprocess.run(command, check=False)
        print(f"{line}: {'installed' if done.returncode == 0 else 'did not install'}", flush=True)


if __name__ == "__main__":
    make()
