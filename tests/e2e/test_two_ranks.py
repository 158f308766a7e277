"""Two processes (gloo): a stop that only rank 0 hears of ends both ranks in the same step."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cusp.checkpoints import manifest, paths
from cusp.client import Client
from cusp.ids import new_id
from cusp.settings import Settings
from tests.conftest import MonitorProcess

SMALL = [
    "model.sft_steps=10",
    "grpo.max_steps=400",
    "grpo.save_steps=5",
    "grpo.per_device_train_batch_size=6",
    "grpo.num_generations=6",
    "grpo.max_completion_length=16",
]


@pytest.mark.timeout(400)
def test_a_stop_ends_both_ranks_in_the_same_step(
    monitor_process: MonitorProcess, tmp_path: Path
) -> None:
    monitor_process.start()
    run_id = new_id()
    with (tmp_path / "out.log").open("wb") as log:
        training = subprocess.Popen(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"),
                *("--standalone", "-m", "tests.e2e.rank_training", run_id, *SMALL),
            ],
            env={**os.environ, "CUSP_URL": monitor_process.url, "CUSP_DIR": str(tmp_path)},
            cwd=Path(__file__).parents[2],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        with Client(Settings(url=monitor_process.url)) as client:
            _wait_for_step(monitor_process, run_id, 7, training, tmp_path)
            command = client.post(f"/runs/{run_id}/stop", {"reason": "both of you"})
            assert training.wait(120) == 0, (tmp_path / "out.log").read_text()[-3000:]
            run = client.get(f"/runs/{run_id}")
            done = client.get(f"/runs/{run_id}/commands/{command['id']}")
    finally:
        training.kill()
        training.wait()
    notes = {
        path.name: int(path.read_text()) for path in (tmp_path / "runs" / run_id).glob("rank-*")
    }
    assert notes.keys() == {"rank-0", "rank-1"}
    assert len(set(notes.values())) == 1, notes
    last = notes["rank-0"]
    assert 7 <= last < 400
    assert (run["status"], run["step"], done["state"], done["step"]) == (
        "stopped",
        last,
        "done",
        last,
    )
    assert done["delivered_at"] <= done["agreed_at"] <= done["done_at"]
    saved = paths.latest(tmp_path / "runs" / run_id)
    assert saved is not None
    assert manifest.verify(saved).step == last
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= manifest.verify(saved).files.keys()
    attempts = run["attempts"]
    assert [attempt["status"] for attempt in attempts] == ["stopped"], "only rank 0 speaks"


def _wait_for_step(
    monitor: MonitorProcess,
    run_id: str,
    step: int,
    training: "subprocess.Popen[bytes]",
    folder: Path,
) -> None:
    for _ in range(600):
        found = {run["id"]: run for run in monitor.get("/runs")["runs"]}
        if (found.get(run_id, {}).get("step") or 0) >= step:
            return
        assert training.poll() is None, (folder / "out.log").read_text()[-3000:]
        time.sleep(0.3)
    raise AssertionError((folder / "out.log").read_text()[-3000:])
