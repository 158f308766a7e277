"""What an evaluate job is asked for replaces what the run's recipe says; nothing of this box is named by it."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from trainer import launch
from trainer.evaluation.tasks.suites import SUITES
from trainer.jobs.asked_evaluation import (
    HF_BATCH,
    TINAS,
    AskedEvaluation,
    GivenHere,
    asked_for,
)
from trainer.recipe import GymEvaluation, PretrainedModel, Recipe, SuiteEvaluation
from trainer.recipe_loader import RecipeError, load_recipe, write_recipe


@pytest.fixture
def root(cusp_dir: Path, tmp_path: Path) -> Path:
    """A run's folder with one checkpoint, whose adapter names a base model of the hub."""
    names_base(tmp_path, "Qwen/Qwen3-0.6B")
    return tmp_path


def names_base(root: Path, base: object) -> None:
    folder = root / "checkpoint-4"
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))


def asked(root: Path, **options: object) -> Recipe:
    return asked_for(root, AskedEvaluation.model_validate(options), ["checkpoint-4"])


def suite_of(recipe: Recipe) -> SuiteEvaluation:
    assert isinstance(recipe.evaluation, SuiteEvaluation)
    return recipe.evaluation


def base_in(recipe: Recipe) -> str:
    assert isinstance(recipe.model, PretrainedModel)
    return recipe.model.id


def test_a_run_without_a_recipe_takes_the_base_that_is_named_or_its_adapters(root: Path) -> None:
    named = asked(root, suite="smoke", base="HuggingFaceTB/SmolLM2-135M-Instruct")
    assert base_in(named) == "HuggingFaceTB/SmolLM2-135M-Instruct"
    found = asked(root, suite="smoke", max_new_tokens=64, engine="vllm")
    assert base_in(found) == "Qwen/Qwen3-0.6B"
    section = suite_of(found)
    assert (section.suite, section.engine.kind, section.system_prompt) == ("smoke", "vllm", None)
    assert section.sampling == TINAS.model_copy(update={"max_new_tokens": 64})


def test_transformers_is_not_asked_for_more_than_fits_where_no_recipe_says_how(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "visible_gpus", lambda: 0)
    section = suite_of(asked(root, suite="tina"))
    assert section.engine.kind == "hf"
    assert section.sampling == TINAS.model_copy(update={"batch_size": HF_BATCH})
    assert suite_of(asked(root, suite="smoke")).sampling.max_new_tokens == 1024
    monkeypatch.setattr(launch, "visible_gpus", lambda: 1)
    there = find_spec("vllm") is not None
    assert suite_of(asked(root, suite="tina")).engine.kind == ("vllm" if there else "hf")
    write_recipe(load_recipe("tina_limr"), root / "recipe.yaml")  # for vLLM, with many at once
    recipe = asked(root, engine="hf").evaluation
    assert recipe is not None
    assert recipe.sampling.batch_size == HF_BATCH


def test_tasks_joined_by_commas_are_a_suite_of_their_own(root: Path) -> None:
    section = suite_of(asked(root, suite="champ, reasoning_gym:chain_sum"))
    assert section.suite is None
    assert [each.name for each in section.tasks or ()] == ["champ", "reasoning_gym:chain_sum"]
    assert section.selection == SUITES["offline"].selection


def test_the_recipe_of_the_run_says_the_rest(root: Path, small: Callable[..., Recipe]) -> None:
    write_recipe(load_recipe("smol"), root / "recipe.yaml")
    own = load_recipe("smol").evaluation
    assert isinstance(own, GymEvaluation)
    recipe = asked(root, suite="smoke")
    assert recipe.model == load_recipe("smol").model
    section = suite_of(recipe)
    assert (section.sampling, section.system_prompt) == (own.sampling, own.system_prompt)
    longer = asked(root, max_new_tokens=500).evaluation
    assert isinstance(longer, GymEvaluation)
    assert longer.sampling.max_new_tokens == 500
    write_recipe(load_recipe("tina_limr"), root / "recipe.yaml")
    section = suite_of(asked(root, suite="sober"))
    assert (section.suite, section.opening, section.engine.kind) == ("sober", "<think>\n", "vllm")
    assert asked(root) == load_recipe("tina_limr")


def test_what_was_given_on_the_box_holds_for_that_evaluation_only(
    root: Path, small: Callable[..., Recipe]
) -> None:
    with pytest.raises(RecipeError, match=r"no evaluation-0a1b2c3d4e5f\.json"):
        asked(root, given_here="0a1b2c3d4e5f")
    section = small().evaluation
    assert section is not None
    longer = section.model_copy(
        update={"sampling": section.sampling.model_copy(update={"max_new_tokens": 77})}
    )
    with_base = GivenHere(base="/models/base", evaluation=longer).write(root)
    assert base_in(asked(root, given_here=with_base)) == "/models/base"
    write_recipe(small(), root / "recipe.yaml")
    with pytest.raises(RecipeError, match="leave --base out"):
        asked(root, given_here=with_base)
    first = GivenHere(base=None, evaluation=longer).write(root)
    second = GivenHere(base=None, evaluation=section).write(root)  # while the first still waits
    assert asked(root, given_here=first) == small().model_copy(update={"evaluation": longer})
    assert asked(root, given_here=second) == asked(root) == small()


def test_a_recipes_base_is_not_replaced_by_one_of_the_hub(
    root: Path, small: Callable[..., Recipe]
) -> None:
    write_recipe(small(), root / "recipe.yaml")
    with pytest.raises(RecipeError, match="leave --base out"):
        asked(root, suite="smoke", base="Qwen/Qwen3-0.6B")


@pytest.mark.parametrize("base", ["/etc", "../models", "a/b/c", "https://x/y"])
def test_a_base_that_is_no_name_of_the_hub_is_not_taken_over_the_network(
    root: Path, base: str
) -> None:
    with pytest.raises(RecipeError, match="no name of the Hugging Face hub"):
        asked(root, suite="smoke", base=base)


def test_a_folder_of_this_box_is_no_name_of_the_hub(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    (root / "models" / "base").mkdir(parents=True)
    with pytest.raises(RecipeError, match="no name of the Hugging Face hub"):
        asked(root, suite="smoke", base="models/base")
    names_base(root, "models/base")
    with pytest.raises(RecipeError, match="name the base model with --base"):
        asked(root, suite="smoke")


@pytest.mark.parametrize("base", [None, 7, "/models/base"])
def test_an_adapter_that_names_no_model_of_the_hub_needs_one_named(
    root: Path, base: object
) -> None:
    names_base(root, base)
    with pytest.raises(RecipeError, match="name the base model with --base"):
        asked(root, suite="smoke")
    (root / "checkpoint-4" / "adapter_config.json").write_text("[")
    with pytest.raises(RecipeError, match="name the base model with --base"):
        asked(root, suite="smoke")


def test_without_a_suite_the_run_needs_a_recipe_that_names_problems(root: Path) -> None:
    with pytest.raises(RecipeError, match=r"there is no recipe\.yaml"):
        asked(root, max_new_tokens=64)
    write_recipe(load_recipe("smol", ["evaluation=null"]), root / "recipe.yaml")
    with pytest.raises(RecipeError, match="ask with --suite"):
        asked(root, max_new_tokens=64)
