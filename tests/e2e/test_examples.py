"""The examples as a person runs them, `python docs/examples/X.py`, beside a real monitor; a real stop ends each."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.settings import MonitorConfig
from tests.e2e.script import ROOT
from tests.serving import Served, serving
from tests.waiting import wait_until

EXAMPLES = ROOT / "docs/examples"
NO_RUNS = ("my_detector", "small_task")  # read by a benchmark; imported by the others
ELSEWHERE = ("trl_grpo_vllm",)  # run by tests/vllm/, in the environment that has vLLM

# By example and its arguments: what the roles format and accuracy are made of; None where nothing is rewarded.
CASES: dict[str, tuple[str, str] | None] = {
    "trl_grpo": ("rewards/format_reward", "rewards/correctness_reward"),
    "trl_sft": None,
    "transformers_trainer": None,
    "own_loop verl": ("critic/format/mean", "critic/acc/mean"),
    "own_loop openrlhf": ("format_rewards", "accuracy_rewards"),
    "own_loop unsloth": ("rewards/match_format_exactly", "rewards/check_answer"),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(MonitorConfig(str(tmp_path_factory.mktemp("monitor") / "cusp.db"))) as served:
        yield served


class Example:
    """One example as a process of its own, in an empty folder."""

    def __init__(self, served: Served, folder: Path, command: str) -> None:
        name, *arguments = command.split()
        self.served, self.folder = served, folder
        self.environment = {
            "CUSP_URL": served.url,
            "CUSP_DIR": str(folder / "cusp"),
            "PYTHONPATH": str(ROOT),
        }
        self.process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments],
            env={**os.environ, **self.environment},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def url(self) -> str:
        runs = self.folder / "cusp" / "runs"
        return f"{self.served.url}/api/v1/runs/{next(runs.iterdir()).name}"

    def run(self) -> dict[str, Any]:
        answer = httpx.get(self.url, timeout=20)
        answer.raise_for_status()
        return dict(answer.json())

    def step(self) -> int:
        if self.process.poll() is not None:
            pytest.fail(f"the example ended early: {self.process.communicate()[1][-3000:]}")
        if not (self.folder / "cusp" / "runs").is_dir():
            return -1
        answer = httpx.get(self.url, timeout=20)
        return (answer.json().get("step") or -1) if answer.is_success else -1

    def stopped(self) -> tuple[str, str]:
        """Stop it over REST once it has saved; return what it has printed."""
        wait_until(lambda: self.step() >= 6, 200)
        httpx.post(f"{self.url}/stop", json={"reason": "seen enough"}, timeout=20)
        return self.process.communicate(timeout=120)


@pytest.mark.parametrize("command", CASES)
def test_an_example_is_watched_and_ends_when_it_is_told_to(
    served: Served, tmp_path: Path, command: str
) -> None:
    example = Example(served, tmp_path, command)
    try:
        out, errors = example.stopped()
    finally:
        example.process.kill()
    assert example.process.returncode == 0, errors[-3000:]
    run = example.run()
    assert run["status"] == "stopped"
    assert 6 <= run["step"] < 200
    (kept,) = (tmp_path / "out").glob(f"**/{run['kept']['path']}")
    assert (kept / "manifest.json").is_file()
    made_of, expected = run["roles"]["made_of"], CASES[command]
    said = " ".join([out, *run["roles"]["words"]])
    if expected is None:
        assert run["words"].endswith("no rewards, so there is no format transition to see.")
        assert not {"format", "accuracy", "length"} & made_of.keys()
        assert "No rewards are logged" in said
        assert "none found" not in said, "nothing is missing in supervised training"
    else:
        assert (made_of["format"], made_of["accuracy"]) == expected
        assert made_of["length"] == "completion_length"
    assert "Cusp" not in errors, "no warning of ours"


def test_every_example_is_run_somewhere() -> None:
    there = {file.stem for file in EXAMPLES.glob("*.py")}
    assert there == {*(command.split()[0] for command in CASES), *NO_RUNS, *ELSEWHERE}
