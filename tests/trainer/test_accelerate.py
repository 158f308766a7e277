"""The shipped configurations for `accelerate launch` are read by it, and start a training on two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file

from tests.small import SMALL
from trainer.recipe_loader import load_recipe

FOLDER = Path(__file__).parents[2] / "trainer" / "accelerate"
EXPECTED = {
    "ddp": ("MULTI_GPU", 1, 2),
    "zero2": ("DEEPSPEED", 1, 2),
    "multi_node": ("MULTI_GPU", 2, 16),
}


def test_every_configuration_is_tested() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_accelerate_reads_the_configuration(name: str) -> None:
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    found = (config.distributed_type.value, config.num_machines, config.num_processes)
    assert found == EXPECTED[name]
    assert config.mixed_precision == "no"  # the recipe's grpo.bf16 decides
    if name == "zero2":
        assert config.deepspeed_config["zero_stage"] == 2
        assert config.deepspeed_config["gradient_accumulation_steps"] == "auto"


@pytest.mark.timeout(300)
def test_two_processes_of_accelerate_train_one_run_with_the_recipes_batch(tmp_path: Path) -> None:
    small = [each for each in SMALL if "per_device" not in each]
    batch = [
        "run.prompts_per_step=4",
        "run.processes=auto",
        "grpo.gradient_accumulation_steps=null",
    ]
    steps = ["grpo.max_steps=2", "grpo.per_device_train_batch_size=6"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "accelerate.commands.launch"),
            *("--config_file", str(FOLDER / "ddp.yaml"), "-m", "trainer.train"),
            *("tiny", *small, *batch, *steps),
        ],
        env={
            **os.environ,
            "CUSP_DIR": str(tmp_path),
            "CUSP_MODE": "offline",
            "OMP_NUM_THREADS": "1",
        },
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the training ended at step 2") == 1
    (run,) = (tmp_path / "runs").iterdir()
    recipe = load_recipe(run / "recipe.yaml")
    assert (recipe.run.processes, recipe.run.prompts_per_step) == (2, 4)
    grpo = recipe.grpo
    assert (grpo.per_device_train_batch_size, grpo.gradient_accumulation_steps) == (6, 2)
    (start,) = run.glob("attempts/*/start.json")
    assert json.loads(start.read_text())["metadata"]["completions_per_point"] == 24
