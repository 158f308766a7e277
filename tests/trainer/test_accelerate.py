"""The shipped configurations for `accelerate launch` are read by it, and start a training on two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import (  # type: ignore[import-untyped]
    load_config_from_file,
)

from tests.small import SMALL
from trainer.recipe_loader import load_recipe
from trainer.train import train
from trainer.training.prompt_log import prompts_of

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


# 4 prompts x 6 completions a step, at most 6 at once on a device.
BATCH = (
    *(each for each in SMALL if "per_device" not in each),
    *("run.prompts_per_step=4", "run.processes=auto", "grpo.gradient_accumulation_steps=null"),
    *("grpo.max_steps=2", "grpo.per_device_train_batch_size=6"),
)


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")  # of TRL, transformers and torch, not ours
def test_two_processes_of_accelerate_train_one_run_with_the_batch_of_a_single_one(
    tmp_path: Path, cusp_dir: Path
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "accelerate.commands.launch"),
            *("--config_file", str(FOLDER / "ddp.yaml"), "-m", "trainer.train", "tiny", *BATCH),
        ],
        env={**os.environ, "CUSP_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"},
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

    single = cusp_dir / "single"
    assert train(load_recipe("tiny", BATCH), single, progress=lambda _: None) == 2
    assert load_recipe(single / "recipe.yaml").grpo.gradient_accumulation_steps == 4
    assert trained_on(single) == trained_on(run)
    assert {step: len(ids) for step, ids in trained_on(run).items()} == {1: 4, 2: 4}


def trained_on(root: Path) -> dict[int, set[str]]:
    """Return the ids of the problems of each step, of all processes together."""
    return {
        step: {one for ids in by_rank.values() for one in ids}
        for step, by_rank in prompts_of(root).items()
    }
