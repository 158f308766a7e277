"""Trainings that verify between two steps: the same bit by bit as without, on one rank and on two."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cusp.ids import new_id
from cusp.protocol.reading import read_message
from tests.asking import AskingMonitor
from tests.e2e.plain_trl import Bench
from tests.e2e.script import Script
from tests.small import SMALL
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
LENGTHS = ["grpo.max_steps=28", "grpo.save_steps=4"]
Json = dict[str, Any]


@pytest.fixture
def monitor() -> Iterator[AskingMonitor]:
    with AskingMonitor() as monitor:
        yield monitor


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


class Trained:
    """A training in processes of its own."""

    def __init__(self, folder: Path, cache: Path, monitor: AskingMonitor) -> None:
        folder.mkdir()
        (folder / "cache").symlink_to(cache)
        self.folder, self.monitor, self.run_id = folder, monitor, new_id()
        self.root = folder / "runs" / self.run_id
        self.log = folder / "trainer.log"

    def start(
        self, at: Json, *more: str, ranks: int = 1, fail: str = ""
    ) -> "subprocess.Popen[bytes]":
        launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={ranks}", "--standalone"]
        small = [*SMALL, *LENGTHS, *more]
        environment = {"CUSP_URL": self.monitor.url, "CUSP_DIR": str(self.folder), "FAIL": fail}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, *(launcher if ranks > 1 else [])),
                    *("-m", "tests.e2e.verified_training", self.run_id, json.dumps(at), *small),
                ],
                env={**os.environ, **environment, "OMP_NUM_THREADS": "1"},
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def end(self, at: Json, *more: str, ranks: int = 1, fail: str = "") -> "Trained":
        process = self.start(at, *more, ranks=ranks, fail=fail)
        try:
            assert process.wait(200) == 0, self.said()
        finally:
            process.kill()
            process.wait()
        return self

    def said(self) -> str:
        return self.log.read_text()[-6000:]

    def state(self, step: int) -> Json:
        """Return what a checkpoint holds: adapter, optimizer, scheduler, random states, logged metrics."""
        folder = self.root / f"checkpoint-{step}"
        state = json.loads((folder / "trainer_state.json").read_text())
        timed = ("step_time", "train_runtime")
        logged = [
            {k: v for k, v in entry.items() if k not in timed} for entry in state["log_history"]
        ]
        files = sorted(folder.glob("*.pt*"))
        read = {
            file.name: torch.load(file, weights_only=False)
            for file in files
            if file.name != "training_args.bin"
        }
        return {"adapter": load_file(folder / "adapter_model.safetensors"), "logged": logged} | read


def same(one: Any, other: Any, where: str = "") -> None:
    """Assert that two nested states are equal bit by bit."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            same(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, Sequence) and not isinstance(one, str):
        assert len(one) == len(other), where
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            same(left, right, f"{where}/{place}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif hasattr(one, "tobytes"):
        assert one.tobytes() == other.tobytes(), where
    else:
        assert one == other, where


@pytest.mark.timeout(400)
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_verified_training_is_the_same_as_an_unverified_one_bit_by_bit(
    tmp_path: Path, cache: Path, monitor: AskingMonitor, ranks: int
) -> None:
    share = f"grpo.per_device_train_batch_size={12 // ranks}"
    plain = Trained(tmp_path / "plain", cache, monitor).end({}, share, ranks=ranks)
    assert monitor.of("verification") == []
    asked = Trained(tmp_path / "asked", cache, monitor)
    asked.end({"8": [4], "18": [4, 16]}, share, ranks=ranks)
    first, second = monitor.of("verification")
    assert (first["step"], set(first["scores"])) == (8, {"4", "8"}), asked.said()
    assert (second["step"], set(second["scores"])) == (18, {"4", "16", "18"})
    assert {len(scores) for scores in second["scores"].values()} == {8}
    assert first["scores"]["4"] == second["scores"]["4"]
    assert (first["completions"], second["completions"]) == (16, 16), "step 4 is scored once"
    assert all(read_message(message).message is not None for message in (first, second))
    for one in (first, second):
        states = [answer["state"] for answer in monitor.answers(one["command_id"])]
        assert states == ["agreed", "done"]
    assert "verification at step 8: 8 problems, now" in asked.said()
    assert monitor.starts[-1]["metadata"]["verifies"] == "training"
    same(plain.state(28), asked.state(28))


@pytest.mark.timeout(400)
def test_a_rank_that_cannot_score_ends_the_verification_on_all_and_not_the_training(
    tmp_path: Path, cache: Path, monitor: AskingMonitor
) -> None:
    asked = Trained(tmp_path / "asked", cache, monitor)
    asked.end({"8": [4], "12": [8]}, "grpo.per_device_train_batch_size=6", ranks=2, fail="rank:1")
    assert monitor.of("verification") == []
    refused = [ack for ack in monitor.of("ack") if ack["state"] == "refused"]
    assert [ack["reason"] for ack in refused] == [
        "the held-out problems could not be scored on rank 1: RuntimeError: this device has left"
    ] * 2
    assert "Traceback" in asked.log.read_text()
    assert max(monitor.steps()) == 28
    plain = Trained(tmp_path / "plain", cache, monitor)
    plain.end({}, "grpo.per_device_train_batch_size=6", ranks=2)
    same(plain.state(28), asked.state(28))


@pytest.mark.timeout(400)
def test_a_training_that_is_killed_while_it_verifies_does_so_when_it_is_resumed(
    tmp_path: Path, cache: Path, monitor: AskingMonitor
) -> None:
    asked = Trained(tmp_path / "asked", cache, monitor)
    process = asked.start({"10": [4]}, fail="hang")
    until = time.monotonic() + 200
    while not (asked.folder / "hangs").exists():
        assert process.poll() is None, asked.said()
        assert time.monotonic() < until, asked.said()
        time.sleep(0.05)
    process.kill()
    process.wait()
    asked.end({}, "--resume")
    (found,) = monitor.of("verification")
    assert set(found["scores"]) == {"4", str(found["step"])}
    assert [one["state"] for one in monitor.answers(found["command_id"])][-1] == "done"
    assert sorted(set(monitor.steps())) == list(range(1, 29)), "no point was lost"
    pinned = [one for one in monitor.of("checkpoint") if one["state"] == "pinned"]
    assert {one["step"] for one in pinned} == {4}
    plain = Trained(tmp_path / "plain", cache, monitor).end({})
    same(plain.state(28)["adapter"], asked.state(28)["adapter"])


@pytest.mark.timeout(400)
def test_a_function_is_called_on_rank_0_while_the_others_wait_and_both_stop_together(
    tmp_path: Path, cache: Path, monitor: AskingMonitor
) -> None:
    Bench(cache)  # the base model, made before two processes want it
    script = Script(monitor, tmp_path, cache)
    two = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]

    def is_there(step: int) -> bool:
        return any(one["step"] == step for one in monitor.of("checkpoint"))

    with script.going("evaluate", ["per_device_train_batch_size=6"], two) as process:
        wait_until(lambda: is_there(10), 200)
        asked = monitor.ask("verify", steps=[5, 10], verify={"alpha": 0.01})
        wait_until(lambda: bool(monitor.of("verification")), 60)
        monitor.ask("stop", reason="worse", steps=[10])
        out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors[-3000:]
    (found,) = monitor.of("verification")
    assert (found["command_id"], found["by"], found["completions"]) == (asked, "function", 120)
    step = found["step"]
    assert {of: sum(scores) for of, scores in found["scores"].items()} == {
        "5": 40, "10": 40, str(step): 0,
    }  # fmt: skip
    assert is_there(step), "it saved in that step"
    assert out.count("scores checkpoint-5-") == 1, "on one rank"
    assert ": worse" in out
    ended = {int((tmp_path / f"ended-{rank}").read_text()) for rank in (0, 1)}
    assert len(ended) == 1
    assert json.loads(out.splitlines()[-1])["kept"]["step"] == 10
