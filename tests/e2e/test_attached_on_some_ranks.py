"""Two processes (gloo) of which one has no callback: the training goes on, and it is said."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from monitor.settings import MonitorConfig
from tests.e2e.plain_trl import Bench
from tests.e2e.script import Script
from tests.serving import Served, serving
from tests.waiting import wait_until

TWO = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
SMALL = ["per_device_train_batch_size=6"]

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of TRL, transformers and torch, not ours
    pytest.mark.timeout(400),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(MonitorConfig(str(tmp_path_factory.mktemp("monitor") / "cusp.db"))) as served:
        yield served


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base model, made before two processes want it."""
    return Bench(tmp_path_factory.mktemp("cache")).cache


@pytest.fixture
def script(served: Served, tmp_path: Path, cache: Path) -> Script:
    return Script(served, tmp_path, cache)


def ended_at(script: Script) -> set[int]:
    notes = [script.folder / f"ended-{rank}" for rank in (0, 1)]
    return {int(note.read_text()) for note in notes}


def test_a_callback_on_rank_0_alone_watches_and_hangs_nobody(script: Script) -> None:
    with script.going("rank0", [*SMALL, "max_steps=60", "save_steps=10"], TWO) as process:
        wait_until(lambda: script.step() >= 2, 200)
        script.stop("cannot be done")
        out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors[-3000:]
    assert ended_at(script) == {60}
    assert json.loads(out.splitlines()[-1])["step"] == 60
    run = script.run()
    assert (run["status"], run["step"]) == ("finished", 60)
    assert run["metadata"]["completions_per_point"] == 12, "6 on each of the two processes"
    (command,) = run["commands"]
    assert command["state"] == "refused"
    assert "not attached in every process" in command["state_reason"]
    assert "attached in 1 of 2 processes (rank 0)" in errors
    assert errors.count("cannot stop the training") == 1
    saved = script.get(f"/runs/{script.run_id}/checkpoints")["checkpoints"]
    assert [one["step"] for one in saved] == [10, 20, 30, 40, 50, 60]


def test_a_callback_on_another_rank_alone_is_said_and_hangs_nobody(script: Script) -> None:
    with script.going("rank1", [*SMALL, "max_steps=4"], TWO) as process:
        _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors[-3000:]
    assert ended_at(script) == {4}
    assert "attached in 1 of 2 processes (rank 1)" in errors
    assert httpx.get(f"{script.served.url}/api/v1/runs", timeout=20).is_success


def test_watched_on_every_rank_both_stop_in_the_same_step(script: Script) -> None:
    with script.going("watch", [*SMALL], TWO) as process:
        wait_until(lambda: script.step() >= 7, 200)
        script.stop("both of you")
        out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors[-3000:]
    (step,) = ended_at(script)
    assert 7 <= step < 400
    seen = json.loads(out.splitlines()[-1])
    assert seen["kept"]["step"] == step
    assert out.count("cusp: stopped a script") == 1, "only one of them speaks"
    assert out.count("cusp: watching a script") == 1
