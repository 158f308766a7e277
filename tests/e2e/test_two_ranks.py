"""Two processes (gloo): a stop that only rank 0 hears of ends both; what rewards log is of both."""

import json
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


REWARDS = """rewards=[
{name: reasoning_steps, weight: 1, steps: 3, by_line: true}, {name: format, weight: 1},
{name: tag_count, weight: 1, ordered: true}, {name: accuracy, weight: 1, verifier: boxed_integer},
{name: length, weight: 1, verifier: boxed_integer, unit: tokens, over: group, undecided: null},
{name: l1_max, weight: 1, verifier: boxed_integer, unit: tokens, alpha: 0.01, delta: 0.5,
 target_length: 9, zero_if_equal: false, undecided: null},
{name: repetition_penalty, weight: 1, ngram_size: 2, max_penalty: -1, unit: tokens}]"""


def test_what_rewards_log_is_the_mean_of_the_completions_of_both_ranks(tmp_path: Path) -> None:
    file, run_id = tmp_path / "problems.jsonl", new_id()
    golds = ("31", "32", "no integer", "34")  # four problems, and all four are in every step
    rows = [{"problem": f"{n}+11=", "solution": gold} for n, gold in enumerate(golds, start=20)]
    file.write_text("\n".join(map(json.dumps, rows)))
    data = (
        f"data={{kind: jsonl, path: {file}, problem_column: problem, solution_column: solution,"
        " solution_in_dollars: false, system_prompt: null, max_prompt_tokens: 16}"
    )
    steps = ("grpo.max_steps=4", "grpo.num_generations=3", "run.processes=2")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"),
            *("--standalone", "-m", "tests.e2e.rank_training", run_id, *SMALL, *steps),
            *(data, REWARDS, "grpo.max_completion_length=40", "model.sft_steps=60"),
        ],
        env={**os.environ, "CUSP_MODE": "offline", "CUSP_DIR": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    state = tmp_path / "runs" / run_id / "checkpoint-4" / "trainer_state.json"
    logged = [entry for entry in json.loads(state.read_text())["log_history"] if "reward" in entry]
    assert [entry["verifier_failures"] for entry in logged] == [0.25] * 4
    for entry in logged:
        cut, form = entry["completions/clipped_ratio"], entry["rewards/format_reward/mean"]
        whole = entry.get("format_given_terminated", 0.0) * (1 - cut)
        assert whole - 1e-6 <= form <= whole + cut + 1e-6
    assert any("format_given_terminated" in entry for entry in logged)


def test_a_group_that_two_ranks_share_is_compared_as_one() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"),
            *("--standalone", "-m", "tests.e2e.rank_rewards"),
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert json.loads(lines["0"]) == pytest.approx([0.5, 0.3, 0.1])
    assert json.loads(lines["1"]) == pytest.approx([-0.1, -0.3, -0.5])


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
