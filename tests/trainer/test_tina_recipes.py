"""Tina's 21 recipes, each with two presets: the values of its YAML files, and the table in the docs."""

from pathlib import Path

import pytest

from trainer.recipe import Recipe
from trainer.recipe.sections import Section
from trainer.recipe_files import preset_names, read_recipe, recipe_names, shipped
from trainer.recipe_loader import load_recipe
from trainer.recipe_values import difference, flat, table, tina_names

TABLE = Path(__file__).parents[2] / "docs" / "reference" / "tina-recipes.md"
# Read off Tina's YAML files (commit c6274cd): data set, generations, max_steps and the step it was stopped at,
# save_steps, rank, learning rate, rewards with weights. What was added is logged only (weight 0).
BOTH, COSINE = {"format": 1, "accuracy": 2}, {"format": 1, "cosine": 2}
SEVEN = (
    "accuracy",
    "format",
    "tag_count",
    "length",
    "reasoning_steps",
    "cosine",
    "repetition_penalty",
)
FORM = ("format", "tag_count", "length", "reasoning_steps", "repetition_penalty")
SCALER, LIMR, RS = "agentica-org/DeepScaleR-Preview-Dataset", "GAIR/LIMR", "knoveleng/open-rs"
WRITTEN = {
    "deepscaler": (SCALER, 4, 11000, 5500, 100, 32, 1e-6, BOTH),
    "2thought": ("Intelligent-Internet/II-Thought-RL-v0-Math-50K", 4, 13320, 6660, 100, 32, 1e-6, BOTH),
    "fastcurl": ("Nickyang/FastCuRL", 4, 11000, 5500, 100, 32, 1e-6, BOTH),
    "l1_exact": (SCALER, 4, 11000, 5500, 100, 32, 1e-6, {"l1_exact": 1}),
    "l1_max": (SCALER, 4, 11000, 5500, 100, 32, 1e-6, {"l1_max": 1}),
    "still": ("RUC-AIBOX/STILL-3-Preview-RL-Data", 4, 7500, 3750, 10, 32, 1e-6, {"length": 1, "accuracy": 2}),
    "open_rs1": ("knoveleng/open-s1", 4, 5000, 2400, 100, 32, 1e-6, BOTH),
    "open_rs2": (RS, 6, 1500, 850, 50, 32, 1e-6, BOTH),
    "open_rs3": (RS, 6, 1500, 850, 50, 32, 1e-6, COSINE),
    "open_r1": ("open-r1/OpenR1-Math-220k", 8, 11716, 11716, 100, 32, 1e-6, dict.fromkeys(SEVEN, 1)),
    "thoughts": ("bethgelab/CuratedThoughts", 8, 8262, 8262, 100, 32, 1e-6, dict.fromkeys(SEVEN, 1)),
    "limr": (LIMR, 4, 360, 180, 10, 32, 1e-6, BOTH),
    "limr_large_lr": (LIMR, 4, 360, 180, 10, 32, 5e-6, BOTH),
    "limr_small_lr": (LIMR, 4, 360, 180, 10, 32, 5e-7, BOTH),
    "limr_large_rank": (LIMR, 4, 360, 180, 50, 128, 1e-6, BOTH),
    "limr_medium_rank": (LIMR, 4, 360, 180, 50, 16, 1e-6, BOTH),
    "limr_small_rank": (LIMR, 4, 360, 180, 50, 8, 1e-6, BOTH),
    "limr_tiny_rank": (LIMR, 4, 360, 180, 50, 4, 1e-6, BOTH),
    "open_rs3_drgrpo": (RS, 6, 1500, 850, 50, 32, 1e-6, COSINE),
    "open_rs3_format": (RS, 6, 1500, 850, 50, 32, 1e-6, dict.fromkeys(FORM, 1)),
    "open_rs3_long_completion": (RS, 6, 1500, 850, 50, 32, 1e-6, COSINE),
}  # fmt: skip


def test_there_are_21_recipes_with_two_presets_and_two_readings_of_a_typing_error() -> None:
    names = tina_names()
    assert {name.partition("/")[0].removeprefix("tina_") for name in names} == set(WRITTEN)
    for preset, number in {"paper": 21, "modern": 21, "as_run": 2}.items():
        assert sum(name.endswith(f"/{preset}") for name in names) == number


@pytest.mark.parametrize("name", WRITTEN)
def test_the_preset_paper_has_the_values_of_tinas_file(name: str) -> None:
    recipe = load_recipe(f"tina_{name}/paper")
    grpo, data = recipe.grpo, recipe.data
    assert data.kind == "hub"
    rewards = {each.name: each.weight for each in recipe.rewards if each.weight}
    assert WRITTEN[name] == (
        data.id, grpo.num_generations, grpo.max_steps, recipe.last_step, grpo.save_steps,
        recipe.lora.r, grpo.learning_rate, rewards,
    )  # fmt: skip
    assert recipe.lora.lora_alpha == 4 * recipe.lora.r
    assert recipe.completions_per_step(2) == 8 * grpo.num_generations
    assert (data.max_prompt_tokens, data.long_prompts) == (512, "cut_left")
    assert (grpo.temperature, grpo.generation_kwargs) == (1.0, {"temperature": 0.7})
    assert (grpo.beta, grpo.use_bias_correction_kl, grpo.num_iterations) == (0.04, False, 1)
    assert (grpo.lr_scheduler_kwargs, grpo.warmup_steps) == ({"min_lr_rate": 0.1}, 0.1)
    assert (recipe.rollouts.sync, grpo.vllm_importance_sampling_correction) == ("merged", False)
    assert recipe.lora.lora_dropout == 0.05
    assert len(recipe.lora.target_modules) == 7
    assert recipe.seed == 42


def test_dr_grpo_is_there_as_written_and_as_it_very_likely_ran() -> None:
    written, ran = load_recipe("tina_open_rs3_drgrpo"), load_recipe("tina_open_rs3_drgrpo/as_run")
    assert (written.grpo.loss_type, written.grpo.scale_rewards) == ("bnpo", "none")
    assert {key for key, _, _ in difference(load_recipe("tina_open_rs3"), ran)} == {
        "run.name",
        "run.tags",
    }
    modern = load_recipe("tina_open_rs3_drgrpo/modern").grpo
    assert (modern.loss_type, modern.scale_rewards) == ("dr_grpo", "none")


@pytest.mark.parametrize("name", WRITTEN)
def test_the_preset_modern_trains_the_same_data_and_batch_by_todays_values(name: str) -> None:
    paper, modern = load_recipe(f"tina_{name}/paper"), load_recipe(f"tina_{name}/modern")
    assert modern.grpo.learning_rate == pytest.approx(10 * paper.grpo.learning_rate)
    assert (modern.lora.r, modern.lora.lora_alpha) == (paper.lora.r, 32)
    assert (modern.rollouts.sync, modern.grpo.vllm_importance_sampling_correction) == (
        "adapter",
        True,
    )
    assert [each.name for each in modern.rewards] == [each.name for each in paper.rewards]
    assert [each.weight for each in modern.rewards] == [each.weight for each in paper.rewards]
    assert modern.completions_per_step(1) == paper.completions_per_step(1)
    assert modern.last_step == paper.last_step
    assert modern.model == paper.model
    kept = {"problem_column", "id", "config", "split", "system_prompt", "max_prompt_tokens"}
    assert modern.data.model_dump(include=kept) == paper.data.model_dump(include=kept)
    for reward in modern.rewards:
        options = reward.model_dump()
        assert options.get("unit", "tokens") in ("tokens", "words")
        assert options.get("undecided") is None
        assert options.get("verifier", "math_verify") == "math_verify"


@pytest.mark.parametrize(
    "name", [f"{each}/{one}" for each in shipped() for one in preset_names(each) or ("",)]
)
def test_a_shipped_recipe_states_every_value(name: str) -> None:
    values = read_recipe(name.removesuffix("/")).values
    assert unstated("", Recipe.model_validate(values)) == []


def unstated(key: str, section: Section) -> list[str]:
    """Return the dotted keys of a section that were left to their default."""
    found = [
        f"{key}{name}" for name in type(section).model_fields.keys() - section.model_fields_set
    ]
    for name in section.model_fields_set:
        inner = getattr(section, name)
        for each in inner if isinstance(inner, tuple) else [inner]:
            if isinstance(each, Section):
                found += unstated(f"{key}{name}.", each)
    return found


def test_the_table_in_the_docs_is_that_of_the_recipes() -> None:
    assert TABLE.read_text() == table(tina_names()), (
        "python -m trainer.recipe_values > docs/reference/tina-recipes.md"
    )


def test_every_value_of_every_preset_can_be_read_off_the_table() -> None:
    rows = [
        line.strip("| ").split(" | ")
        for line in TABLE.read_text().splitlines()
        if line.startswith("| `")
    ]
    found: dict[str, dict[str, str]] = {name: {} for name in tina_names()}
    for key, cell, *where in rows:
        value = cell.strip("`").replace("\\|", "|")
        for name in found:
            if not where or meant(name, where[0]):
                assert found[name].setdefault(key.strip("`"), value) == value
    for name, values in found.items():
        cut = {key: value for key, value in flat(load_recipe(name)).items() if len(value) > 60}
        whole = flat(load_recipe(name))
        assert values.keys() == whole.keys()
        assert {k: v for k, v in values.items() if k not in cut} == {
            k: v for k, v in whole.items() if k not in cut
        }


def meant(name: str, where: str) -> bool:
    """Return whether a phrase of the table's last column means a recipe with its preset."""
    recipe, _, preset = name.removeprefix("tina_").partition("/")
    for part in where.split("; "):
        if part.startswith("all "):
            presets, named, keep = part.removeprefix("all "), set(), False
        elif " but " in part:
            presets, _, names = part.partition(" but ")
            named, keep = set(names.split(", ")), False
        else:
            presets, _, names = part.partition(": ")
            named, keep = set(names.split(", ")), True
        if preset in presets.split(", ") and (recipe in named) is keep:
            return True
    return False


def test_all_shipped_names_load() -> None:
    assert len(recipe_names()) == len(set(recipe_names()))
    for name in recipe_names():
        assert isinstance(load_recipe(name), Recipe)
