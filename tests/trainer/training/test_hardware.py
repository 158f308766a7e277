"""A recipe on this box: shared by its processes, with what is installed."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from cusp.ids import new_id
from cusp.process import interpreter
from cusp.process.installed import pip_install
from trainer import launch
from trainer.recipe_loader import RecipeError, load_recipe, write_recipe
from trainer.train import check, grpo_arguments
from trainer.training.batch_size import divided
from trainer.training.hardware import adapted_to_hardware, grpo_config


@pytest.mark.parametrize(
    ("processes", "sizes"), [(1, (6, 8)), (2, (6, 4)), (3, (4, 4)), (4, (6, 2)), (8, (6, 1)), (48, (1, 1))]
)  # fmt: skip
def test_the_papers_batch_is_48_on_any_number_of_processes(
    processes: int, sizes: tuple[int, int]
) -> None:
    recipe = divided(load_recipe("tina_open_rs2"), processes)
    grpo = recipe.grpo
    assert (grpo.per_device_train_batch_size, grpo.gradient_accumulation_steps) == sizes
    assert recipe.completions_per_step(processes) == 48
    assert (recipe.run.processes, recipe.run.prompts_per_step) == (processes, 8)
    assert divided(recipe, processes) == recipe
    assert divided(recipe, 2).completions_per_step(2) == 48


def test_a_batch_that_cannot_be_shared_is_refused_with_the_numbers() -> None:
    with pytest.raises(
        RecipeError, match=r"48 completions a step .* 5 processes; take 1, 2, 3, 4, 6"
    ):
        divided(load_recipe("tina_open_rs2"), 5)


def test_the_refusal_names_batches_that_would_do() -> None:
    with pytest.raises(RecipeError, match=r"5 processes; .*or run.prompts_per_step=5 or 10"):
        divided(load_recipe("tina_open_rs2"), 5)


def test_a_batch_written_for_some_processes_is_shared_as_stored_recipes_mean_it() -> None:
    stored = load_recipe("tiny", ["run.processes=2", "grpo.gradient_accumulation_steps=2"])
    sizes = [divided(stored, n).grpo for n in (1, 2, 4)]
    assert [g.gradient_accumulation_steps for g in sizes] == [4, 2, 1]
    twice = load_recipe("tiny", ["run.processes=2", "grpo.steps_per_generation=2"])
    assert [divided(twice, n).grpo.steps_per_generation for n in (1, 2, 4)] == [4, 2, 2]
    with pytest.raises(RecipeError, match=r"steps_per_generation = 1 generates 24 completions"):
        divided(
            load_recipe(
                "tiny",
                [
                    "grpo.per_device_train_batch_size=24",
                    "grpo.gradient_accumulation_steps=3",
                    "grpo.steps_per_generation=1",
                ],
            ),
            9,
        )


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["run.processes=auto"], "run.processes = 'auto' needs run.prompts_per_step"),
        (["run.processes=0"], "it must be auto or a whole number of at least 1"),
        (["run.processes=true"], "it must be auto or a whole number of at least 1"),
        (["grpo.gradient_accumulation_steps=null"], "is derived from run.prompts_per_step"),
        (["run.prompts_per_step=4"], "1 processes x 48 x 1 accumulation steps make 48 .* make 24"),
        (["run.prompts_per_step=8", "run.processes=auto"], "steps = 1 is derived from run.prompts"),
        (["run.prompts_per_step=8", "grpo.steps_per_generation=1"], "counts batches of a device"),
    ],
)
def test_a_batch_that_is_told_twice_is_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load_recipe("tiny", overrides)


def test_a_recipe_that_names_no_processes_means_each() -> None:
    recipe = load_recipe("tiny", ["run.processes=null"])
    assert divided(recipe, 2).completions_per_step(2) == 96


def test_attention_that_is_not_installed_is_replaced_and_said() -> None:
    assert find_spec("flash_attn") is None  # it needs CUDA
    recipe, changes = adapted_to_hardware(load_recipe("tina_open_rs2"), has_gpu=False)
    assert recipe.model.kind == "pretrained"
    assert recipe.model.attn_implementation == "sdpa"
    assert any("flash_attention_2 is not installed" in change for change in changes)


def test_vllm_that_is_not_installed_is_a_sentence_before_anything_is_loaded() -> None:
    assert find_spec("vllm") is None  # not in the extras that the suite runs with
    with pytest.raises(RecipeError, match=re.escape(pip_install("trainer", "vllm"))):
        adapted_to_hardware(load_recipe("tina_open_rs2"), has_gpu=True)


def test_values_that_trl_refuses_are_a_sentence(tmp_path: Path) -> None:
    recipe = load_recipe("tiny", ["grpo.optim=no-such-optimizer"])
    with pytest.raises(RecipeError, match="no-such-optimizer"):
        grpo_config(grpo_arguments(recipe, tmp_path, has_gpu=False))


@pytest.mark.parametrize(
    ("visible", "processes", "gpus", "left"),
    [(None, 1, 2, "0"), ("3,5", 1, 2, "3"), ("GPU-a,GPU-b,GPU-c", 2, 3, "GPU-a,GPU-b"), (None, 2, 2, None)],
)  # fmt: skip
def test_no_process_sees_two_devices(
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    processes: int,
    gpus: int,
    left: str | None,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert launch.environment(processes, gpus).get("CUDA_VISIBLE_DEVICES") == left


def test_every_process_is_started_without_the_working_folder() -> None:
    for processes in (1, 2):
        assert "-P" in launch.command(processes)
    assert interpreter.environment()["PYTHONSAFEPATH"] == "1"


def test_more_processes_than_gpus_are_refused_and_a_resumed_run_keeps_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    assert check(["tiny"], None, 2) == 2
    assert check(["tiny"], 1, 2) == 1
    assert [check([name], None, 5) for name in ("tiny", "smol", "tina_limr")] == [4, 4, 4]
    assert [check(["tiny"], None, gpus) for gpus in (7, 8)] == [6, 8]
    assert check(["smol"], None, 8) == 6
    with pytest.raises(RecipeError, match="cannot be shared by 5 processes"):
        check(["tiny"], 5, 5)
    assert check(["tina_limr", "run.processes=2"], None, 4) == 2
    assert check(["tina_limr"], None, 4) == 4
    assert check(["tina_limr"], None, 0) == 1
    with pytest.raises(RecipeError, match="32 completions a step cannot be shared by 3 processes"):
        check(["tina_limr"], 3, 0)
    with pytest.raises(
        launch.TooFewGpus, match="4 processes need as many GPUs and this box shows 2"
    ):
        check(["tiny"], 4, 2)
    run_id = new_id()
    (tmp_path / "runs" / run_id).mkdir(parents=True)
    write_recipe(load_recipe("tiny"), tmp_path / "runs" / run_id / "recipe.yaml")
    assert check(["--resume", "--run-id", run_id], None, 2) == 1


@pytest.mark.parametrize("name", ["smol", "tiny", "tina_open_rs2"])
def test_the_recipe_of_a_training_on_several_processes_can_be_read_again(
    name: str, tmp_path: Path
) -> None:
    """Its resume and its evaluation read it; a group may lie on more than one process."""
    for recipe in (load_recipe(name), load_recipe(name, ["grpo.per_device_train_batch_size=6"])):
        for processes in (1, 2, 3, 6):
            shared = divided(recipe, processes)
            write_recipe(shared, tmp_path / "recipe.yaml")
            assert load_recipe(tmp_path / "recipe.yaml") == shared
    with pytest.raises(RecipeError, match="9 completions a step on 3 processes cannot be cut"):
        load_recipe(
            "smol",
            ["run.processes=3", "grpo.per_device_train_batch_size=3", "grpo.num_generations=6"],
        )
