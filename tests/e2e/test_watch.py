"""`cusp.watch(trainer)` in a script of a person's own: real TRL, a real monitor, its own process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.settings import MonitorConfig
from tests.e2e.script import Script
from tests.serving import Served, serving
from tests.waiting import wait_until

ENDS = ["max_steps=6", "save_steps=3"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(MonitorConfig(str(tmp_path_factory.mktemp("monitor") / "cusp.db"))) as served:
        yield served


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def script(served: Served, tmp_path: Path, cache: Path) -> Script:
    return Script(served, tmp_path, cache)


def said(process: "subprocess.CompletedProcess[str]") -> str:
    lines = process.stdout.splitlines()
    return "\n".join(line for line in lines if line.startswith("cusp: "))


def test_a_script_that_is_stopped_goes_on_with_what_was_kept(script: Script) -> None:
    with script.going() as process:
        wait_until(lambda: script.step() >= 12, 120)
        script.stop("seen enough")
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors[-3000:]
    seen, run = json.loads(out.splitlines()[-1]), script.run()
    last = seen["step"]
    assert 12 <= last < 400
    assert (run["status"], run["step"]) == ("stopped", last)

    kept = Path(seen["kept"]["path"])
    assert kept.is_absolute()
    assert seen["kept"]["step"] == last, "nothing was kept before, so the stop keeps what it saved"
    assert {"adapter_model.safetensors", "manifest.json"} <= set(seen["files"])
    assert run["kept"]["step"] == last
    assert run["kept"]["pinned"] is True
    assert (script.folder / "out" / run["kept"]["path"]) == kept

    block = out[out.index("cusp: stopped a script") :]
    assert f"at step {last} of 400: seen enough." in block
    assert str(kept) in block
    assert f"{script.served.url}/runs/{script.run_id}" in out[: out.index("cusp: stopped")]
    command = next(line for line in block.splitlines() if "promote" in line).split("promote  ")[1]
    promoted = subprocess.run(
        command.replace("cusp promote", f"{sys.executable} -m cusp promote"),
        shell=True,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert promoted.returncode == 0, promoted.stderr
    assert script.run()["checkpoints"]["production"]["step"] == last


def test_what_the_trainer_knows_of_its_rewards_is_read_off_it(script: Script) -> None:
    ended = script.ended("watch", [*ENDS, "steps_per_generation=2", "logging_steps=2"])
    run = script.run()
    metadata = run["metadata"]
    assert metadata["reward_weights"] == {
        "soft_format_reward_func": 1.0,
        "correctness_reward_func": 2.0,
        "house_style": 0.0,
    }
    assert (metadata["completions_per_point"], metadata["save_steps"]) == (24, 3)
    assert (run["name"], run["tags"], run["policy"]["action"]) == ("a script", ["told"], "propose")
    assert "rewards/soft_format_reward_func" in said(ended)
    samples = script.get(f"/runs/{script.run_id}/samples")["samples"]
    assert len(samples) == 6
    assert set(samples[0]["rewards"]) == set(metadata["reward_weights"])
    assert samples[0]["prompt"]
    assert f"ended at step {6}" in said(ended)
    assert len(said(ended).splitlines()) < 10, "few lines"


@pytest.mark.parametrize("how", ["twice", "both"])
def test_attached_twice_is_one_callback_and_said(script: Script, how: str) -> None:
    ended = script.ended(how, ENDS)
    assert json.loads(ended.stdout.splitlines()[-1])["attached"] == 1
    assert "attached already" in said(ended)
    run = script.run()
    assert (run["step"], run["status"], run["policy"]["action"]) == (6, "finished", "propose")
    if how == "twice":
        assert run["metadata"]["roles"] == {"accuracy": ["rewards/house_style"]}


def test_report_to_cusp_after_import_cusp_is_enough(script: Script) -> None:
    ended = script.ended("report_to", [*ENDS, 'run_name="from the arguments"'])
    run = script.run()
    assert (run["name"], run["step"], run["status"]) == ("from the arguments", 6, "finished")
    assert "from the arguments" in said(ended)


def test_report_to_cusp_beside_a_callback_is_one_run(script: Script) -> None:
    ended = script.ended("callback", [*ENDS, 'report_to="cusp"'])
    assert len(list((script.folder / "cusp" / "runs").iterdir())) == 1
    assert script.run()["step"] == 6
    assert "twice" in ended.stderr


def test_the_terminal_can_be_silent(script: Script) -> None:
    ended = script.ended("watch", ENDS, CUSP_SILENT="1")
    assert said(ended) == ""
    assert script.run()["step"] == 6


def test_a_script_runs_to_its_end_without_a_monitor(script: Script) -> None:
    ended = script.ended("watch", ENDS, CUSP_URL="http://127.0.0.1:9")
    assert json.loads(ended.stdout.splitlines()[-1])["step"] == 6
    assert "ended at step 6" in said(ended)
