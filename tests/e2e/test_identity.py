"""Which run and attempt a training is, as people start, interrupt, resume, move and fork it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from cusp.cli.support.output import duration
from cusp.ids import new_id
from monitor.settings import MonitorConfig
from tests.serving import Served, serving
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Served]:
    with serving(MonitorConfig(str(tmp_path / "monitor.db"))) as served:
        yield served


def environment(monitor: Served, box: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "CUSP_URL": monitor.url,
        "CUSP_DIR": str(box),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        **more,
    }


def start(code: str, *arguments: object, **environ: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **environ,
    )


def run(code: str, *arguments: object, **environ: Any) -> tuple[str, str]:
    """Run a script in a process of its own to its end; return what it said on both streams."""
    done = start(code, *arguments, **environ)
    out, err = done.communicate(timeout=240)
    assert done.returncode == 0, err
    return out, err


def asked(monitor: Served, path: str, **query: Any) -> Json:
    found: Json = (
        httpx.get(f"{monitor.url}/api/v1{path}", params=query, timeout=60).raise_for_status().json()
    )
    return found


# --- a living kernel ---------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_in_a_living_kernel_every_training_is_its_own_and_has_its_end(
    monitor: Served, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/e2e/living_kernel.py"), str(tmp_path)],
        env=environment(monitor, tmp_path / "box"),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"cell"')]
    cells = {line["cell"]: line["runs"] for line in lines}
    assert "KeyboardInterrupt" in done.stderr, "the exception is the user's to see"
    (first,) = cells["ctrl-c"]
    assert (first["status"], first["status_reason"]) == ("failed", "KeyboardInterrupt")
    again = cells["again"][0]
    assert again["id"] != first["id"], "the same callback, another training"
    assert (again["status"], again["step"], again["attempt_count"]) == ("finished", 2, 1)
    died = cells["dies"][0]
    assert (died["status"], died["status_reason"]) == (
        "failed",
        "MemoryError: CUDA out of memory",
    )
    by_id = {one["id"]: one for one in cells["resumed"]}
    assert len(by_id) == 3
    resumed = by_id[first["id"]]
    assert (resumed["attempt_count"], resumed["status"], resumed["step"]) == (2, "finished", 8)


# --- resuming ------------------------------------------------------------------------------------------

PLAIN = """
import sys, torch, cusp
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments
class Data(Dataset):
    def __len__(self): return 400
    def __getitem__(self, i): return {"x": torch.ones(1) * (i % 7), "labels": torch.ones(1)}
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__(); self.l = torch.nn.Linear(1, 1)
    def forward(self, x, labels=None):
        y = self.l(x); return {"loss": ((y - labels) ** 2).mean(), "logits": y}
def train(out, steps, resume=None, weights=None):
    net = Net()
    if weights:
        from safetensors.torch import load_file
        net.load_state_dict(load_file(weights + "/model.safetensors"))
    args = TrainingArguments(output_dir=out, max_steps=steps, save_steps=10, logging_steps=1,
                             report_to=[], disable_tqdm=True, use_cpu=True)
    callback = cusp.CuspCallback(name="mine")
    Trainer(model=net, args=args, train_dataset=Data(), callbacks=[callback]).train(resume_from_checkpoint=resume)
    print(callback.run.id)
"""


@pytest.mark.timeout(400)
def test_a_resumed_training_goes_on_with_the_run_of_its_checkpoint(
    monitor: Served, tmp_path: Path
) -> None:
    first = environment(monitor, tmp_path / "box")
    out = tmp_path / "out"
    said, _ = run(PLAIN + "train(sys.argv[1], 20)", out, env=first)
    run_id = said.split()[-1]

    # The folder is copied to another box, under another name.
    elsewhere = tmp_path / "elsewhere" / "saved"
    shutil.copytree(out / "checkpoint-20", elsewhere)
    resume = PLAIN + "train(sys.argv[1], 30, resume=sys.argv[2])"
    said, _ = run(resume, tmp_path / "out2", elsewhere, env=environment(monitor, tmp_path / "box2"))
    assert said.split()[-1] == run_id
    found = asked(monitor, f"/runs/{run_id}")
    assert (found["attempt_count"], found["status"], found["step"]) == (2, "finished", 30)
    (loss,) = asked(monitor, f"/runs/{run_id}/series", names="loss")["series"]
    assert loss["steps"] == list(range(1, 31))

    # One that merely starts from these weights is another run, and CUSP_RUN_ID wins over the checkpoint.
    weights = PLAIN + "train(sys.argv[1], 2, weights=sys.argv[2])"
    said, _ = run(weights, tmp_path / "out3", elsewhere, env=first)
    assert said.split()[-1] != run_id
    named = new_id()
    said, _ = run(resume, tmp_path / "out4", elsewhere, env={**first, "CUSP_RUN_ID": named})
    assert said.split()[-1] == named

    # A run that was deleted takes no attempt: the training is a new one, and that is said.
    httpx.delete(f"{monitor.url}/api/v1/runs/{run_id}", timeout=60).raise_for_status()
    said, complaint = run(resume, tmp_path / "out5", elsewhere, env=first)
    assert said.split()[-1] not in (run_id, named)
    assert f"The checkpoint is one of run {run_id}, which takes no new attempt" in complaint
    assert "recorded as a new run" in complaint
    assert asked(monitor, f"/runs/{said.split()[-1]}")["status"] == "finished"


KILLED = """
import os, signal
from transformers import TrainerCallback
class Kill(TrainerCallback):  # comes before Cusp's: saved, and not registered yet
    def on_save(self, args, state, control, **kwargs):
        if state.global_step == 20: os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.timeout(400)
def test_a_checkpoint_whose_process_was_killed_at_its_save_is_registered_by_the_resume(
    monitor: Served, tmp_path: Path
) -> None:
    env = environment(monitor, tmp_path / "box")
    killed = PLAIN.replace("callbacks=[callback]", "callbacks=[Kill(), callback]") + KILLED
    died = start(killed + "train(sys.argv[1], 40)", tmp_path / "out", env=env)
    died.communicate(timeout=240)
    assert died.returncode == -signal.SIGKILL
    said, _ = run(PLAIN + "train(sys.argv[1], 40, resume=True)", tmp_path / "out", env=env)
    found = asked(monitor, f"/runs/{said.split()[-1]}/checkpoints")["checkpoints"]
    assert [(one["step"], one["state"]) for one in found] == [
        (step, "present") for step in (10, 20, 30, 40)
    ]


# --- forks ---------------------------------------------------------------------------------------------

FORKS = """
import cusp, json, multiprocessing as mp, os, sys, time
from cusp.process import file_lock
run = cusp.init(name="forked", root=sys.argv[1])
for s in range(10):
    run.log({"reward": float(s)}, step=s)
spool = run.home / "attempts" / run.attempt_id
def reward(x):
    run.log({"seen": float(x)}, step=x)
    run.checkpoint(sys.argv[1], step=x); run.sample(1, "p", "c"); run.boundary(3); run.keep([1])
    assert not run.should_stop() and run.settle() and not run.open_commands()
    return x
with mp.get_context("fork").Pool(2) as pool:
    pool.map(reward, range(10))
if os.fork() == 0:
    sys.exit(0)          # runs the exit handlers that it inherited
os.wait()
if os.fork() == 0:
    run.finish("failed", "a child said so")
    raise RuntimeError("a child dies")
os.wait()
from torch.utils.data import DataLoader, Dataset
class Data(Dataset):
    def __len__(self): return 8
    def __getitem__(self, i):
        run.log({"loaded": 1.0}, step=i)
        return i
assert sum(len(batch) for batch in DataLoader(Data(), num_workers=2, multiprocessing_context="fork")) == 8
outliving = os.fork()
if outliving == 0:
    os.close(1); os.close(2); time.sleep(60); os._exit(0)
for s in range(10, 20):
    run.log({"reward": float(s)}, step=s)
print(run.id, outliving, flush=True)
assert run.finish(drain_s=10)
print("locked:", file_lock.is_locked(run.home / "lock"), file_lock.is_locked(spool / "lock"))
"""


@pytest.mark.timeout(120)
def test_forked_children_write_nothing_end_nothing_and_hold_no_lock(
    monitor: Served, tmp_path: Path
) -> None:
    out, err = run(FORKS, tmp_path, env=environment(monitor, tmp_path / "box"))
    first, last = out.splitlines()
    run_id, child = first.split()
    try:
        assert last == "locked: False False", "a child that outlives the training holds its lock"
        found = asked(monitor, f"/runs/{run_id}")
        assert (found["status"], found["step"], found["attempt_count"]) == ("finished", 19, 1)
        series = {one["name"]: one for one in asked(monitor, f"/runs/{run_id}/series")["series"]}
        assert sorted(series) == ["reward"]
        assert series["reward"]["steps"] == list(range(20))
        assert found["quarantined"] == 0
        said = [line for line in err.splitlines() if line.startswith("Cusp leaves out")]
        assert 3 <= len(said) <= 6, "one sentence in each child that logs"
        # The run can be trained again on this box at once, as the next attempt.
        again = f"import cusp; run = cusp.init(run_id='{run_id}', must_own=True); run.finish()"
        run(again, env=environment(monitor, tmp_path / "box"))
        assert asked(monitor, f"/runs/{run_id}")["attempt_count"] == 2
    finally:
        os.kill(int(child), 9)


# --- ranks ---------------------------------------------------------------------------------------------

RANK = "import cusp; run = cusp.init(name='r'); run.log({'reward': 1.0}, 1); print(run.finish(drain_s=10))"


@pytest.mark.parametrize(
    ("variables", "recorded", "guessed"),
    [
        ({"RANK": "1"}, False, False),
        ({"RANK": "0", "LOCAL_RANK": "1"}, True, False),
        ({"LOCAL_RANK": "2"}, False, True),
        ({"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4"}, False, True),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "8"}, False, True),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "8", "CUSP_RANK": "0"}, True, False),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, True, False),
    ],
)
def test_only_the_first_process_of_a_training_speaks(
    monitor: Served, tmp_path: Path, variables: dict[str, str], recorded: bool, guessed: bool
) -> None:
    out, err = run(RANK, env=environment(monitor, tmp_path / "box", **variables))
    assert out.strip() == "True"
    assert len(asked(monitor, "/runs")["runs"]) == recorded
    assert ("set CUSP_RANK=0 if it is a training of its own" in err) == guessed


# --- two boxes -----------------------------------------------------------------------------------------

TRAIN = """
import cusp, sys, time
run = cusp.init(name="array-job", root=sys.argv[2])
for s in range(600):
    run.log({"format_reward": float(sys.argv[1])}, step=s)
    if s == 0: print("started", flush=True)
    time.sleep(0.05)
    if run.should_stop():
        print("stopped", flush=True); break
run.finish(drain_s=5)
"""


@pytest.mark.timeout(120)
def test_of_two_boxes_on_one_run_the_older_is_told_stops_writing_and_hears_the_stop(
    monitor: Served, tmp_path: Path
) -> None:
    run_id = new_id()

    def box(number: int) -> "subprocess.Popen[str]":
        env = environment(monitor, tmp_path / f"box{number}", CUSP_RUN_ID=run_id)
        return start(TRAIN, f"0.{number}", tmp_path / f"out{number}", env=env)

    older = box(2)
    wait_until(
        lambda: asked(monitor, "/runs")["runs"] and asked(monitor, f"/runs/{run_id}")["step"], 30
    )
    newer = box(8)
    wait_until(lambda: asked(monitor, f"/runs/{run_id}")["still_training"] == [1], 30)
    wait_until(lambda: asked(monitor, f"/runs/{run_id}")["attempts"][0]["outrun"] > 0, 30)
    page = httpx.get(f"{monitor.url}/runs/{run_id}", timeout=60).text
    assert "though attempt 2 has taken the run over" in page
    httpx.post(f"{monitor.url}/api/v1/runs/{run_id}/stop", json={}, timeout=60).raise_for_status()
    said = [process.communicate(timeout=60) for process in (older, newer)]
    assert ["stopped" in out for out, _ in said] == [True, True]
    assert said[0][1].count("has taken the run over") == 1, "said once, in the older one's terminal"
    assert "taken the run over" not in said[1][1]
    found = asked(monitor, f"/runs/{run_id}")
    assert (found["status"], found["attempt_count"], found["still_training"]) == ("stopped", 2, [])
    (series,) = asked(monitor, f"/runs/{run_id}/series", names="format_reward")["series"]
    assert set(series["values"]) == {0.8}


# --- times ---------------------------------------------------------------------------------------------

OFFLINE = """
import sys, time, cusp
real, ago = time.time, [3 * 86400.0]
time.time = lambda: real() - ago[0]       # a training of three days ago that took an hour
from cusp.protocol.run import RunMetadata
for attempt in range(2):
    run = cusp.init(name="offline", run_id=sys.argv[1], metadata=RunMetadata(gpu_count=2))
    for s in range(30 * attempt, 30 * attempt + 30):
        ago[0] -= 60
        run.log({"format_reward": 0.5}, step=s)
    run.finish("finished" if attempt else "failed")
    ago[0] -= 43_200                       # a night
"""


@pytest.mark.timeout(120)
def test_a_synced_run_has_the_times_and_the_cost_of_its_training(
    monitor: Served, tmp_path: Path
) -> None:
    run_id = new_id()
    env = environment(monitor, tmp_path / "box", CUSP_GPU_HOURLY_USD="1.50")
    before = time.time()
    run(OFFLINE, run_id, env={**env, "CUSP_MODE": "offline"})
    subprocess.run([sys.executable, "-m", "cusp", "sync"], env=env, check=True, cwd=tmp_path)
    found = asked(monitor, f"/runs/{run_id}")
    assert (found["status"], found["attempt_count"]) == ("finished", 2)
    assert found["elapsed_s"] == pytest.approx(3600, abs=5)
    assert found["spent_usd"] == pytest.approx(3.0, abs=0.02)
    began = datetime.fromisoformat(found["started_at"]).timestamp()
    ended = datetime.fromisoformat(found["ended_at"]).timestamp()
    assert began == pytest.approx(before - 3 * 86_400, abs=60)
    assert ended - began == pytest.approx(3600 + 43_200, abs=60)
    shown = subprocess.run(
        [sys.executable, "-m", "cusp", "show", run_id], env=env, capture_output=True, text=True
    )
    said = f"{duration(found['elapsed_s'])} in 2 attempts, {found['spent_usd']:.2f} USD spent"
    assert said in shown.stdout  # 1 h, give or take what the machine took
