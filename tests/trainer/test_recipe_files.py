"""A recipe file may extend others and have presets; what it means is what they say one after another."""

from pathlib import Path

import pytest

from trainer.recipe.grpo import GrpoSection
from trainer.recipe.sections import RunSection
from trainer.recipe_files import (
    find_recipe,
    preset_names,
    read_recipe,
    recipe_names,
    shipped,
    title,
    yaml,
)
from trainer.recipe_loader import RecipeError, load_recipe, write_recipe
from trainer.training.batch_size import divided


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A user's file on top of a shipped recipe and of a file beside it, with two presets."""
    (tmp_path / "beside.yaml").write_text(
        "run: {name: beside, tags: [a, b]}\ngrpo: {epsilon: 0.3}\n"
    )
    file = tmp_path / "mine.yaml"
    file.write_text(
        "# Mine.\nextends: [tiny, beside.yaml]\nrun: {tags: [c]}\nseed: 5\n"
        "presets:\n"
        "  plain: {}\n"
        "  other: {extends: [parts/trl.yaml], run: {name: other}, data: {kind: jsonl}, seed: 6}\n"
    )
    return file


def test_keys_of_a_section_are_replaced_one_by_one_and_lists_as_a_whole(mine: Path) -> None:
    recipe, tiny = load_recipe(mine), load_recipe("tiny")
    assert (recipe.run.name, recipe.run.tags, recipe.seed) == ("beside", ("c",), 5)
    assert recipe.grpo == tiny.grpo.model_copy(update={"epsilon": 0.3})
    assert (recipe.run.project, recipe.model, recipe.data) == (
        tiny.run.project,
        tiny.model,
        tiny.data,
    )


def test_a_preset_comes_last_and_a_section_of_another_kind_replaces_the_whole(mine: Path) -> None:
    values = read_recipe(f"{mine}/other").values
    assert (values["run"]["name"], values["seed"]) == ("other", 6)
    assert values["data"] == {"kind": "jsonl"}
    assert preset_names(mine) == ("plain", "other")


def test_a_missing_key_of_a_preset_is_a_sentence_and_the_origin_of_a_wrong_one_is_named(
    mine: Path,
) -> None:
    with pytest.raises(
        RecipeError, match=r"the key 'data.problem_column' is missing in .*mine.yaml"
    ):
        load_recipe(f"{mine}/other")
    beside = mine.parent / "beside.yaml"
    beside.write_text("grpo: {epsilon: high}\n")
    with pytest.raises(RecipeError, match=r"grpo.epsilon = 'high' in .*beside.yaml is not allowed"):
        load_recipe(mine)
    beside.write_text("grpo: {epsilonn: 1}\n")
    with pytest.raises(RecipeError, match=r"unknown key 'grpo.epsilonn' in .*beside.yaml"):
        load_recipe(mine)


def test_the_resolved_copy_stands_for_itself(mine: Path, tmp_path: Path) -> None:
    recipe = load_recipe(mine, ["grpo.epsilon_high=0.28"])
    write_recipe(recipe, tmp_path / "resolved.yaml")
    text = (tmp_path / "resolved.yaml").read_text()
    assert "extends" not in text
    assert "presets" not in text
    assert "vllm_group_port: 51216" in text
    (tmp_path / "beside.yaml").unlink()
    assert load_recipe(tmp_path / "resolved.yaml") == recipe


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends: [gone.yaml]", r"mine.yaml extends 'gone.yaml', but there is no recipe"),
        ("extends: [mine.yaml]", "mine.yaml extends itself"),
        ("extends: tiny", "`extends` must be a list"),
        ("extends: [1]", "`extends` must be a list"),
        ("extends: [tiny/big]", r"tiny.yaml has no preset 'big'; it has none"),
        ("extends: [tina_limr/big]", "has no preset 'big'; it has paper, modern"),
        ("presets: [a]", "`presets` must be sections"),
        ("presets: {a: 1}", "`presets` must be sections"),
        ("extends: [../../../etc/passwd]", "there is no recipe"),
    ],
)
def test_what_cannot_be_extended_is_refused_with_the_file(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(RecipeError, match=words):
        read_recipe(tmp_path / "mine.yaml")


def test_a_shipped_recipe_goes_by_its_folder_and_its_parts_are_none() -> None:
    names = recipe_names()
    assert find_recipe("tina_limr").name == "limr.yaml"
    assert {"tiny", "tina_limr", "tina_limr/modern", "tina_limr/paper"} <= set(names)
    assert not {"parts_trl", "tina_parts"} & set(names)
    assert read_recipe("tina_limr").values == read_recipe("tina_limr/paper").values
    assert not [name for name in shipped() if not title(name)]


def test_a_recipe_stored_before_there_were_the_newer_keys_means_what_it_did(tmp_path: Path) -> None:
    raw, tiny = read_recipe("tiny").values, load_recipe("tiny")
    for section, kind in (("grpo", GrpoSection), ("run", RunSection)):
        for name, field in kind.model_fields.items():
            if not field.is_required() and name != "processes":
                del raw[section][name]
    del raw["rollouts"]
    with (tmp_path / "old.yaml").open("w") as out:
        yaml().dump(raw, out)
    old = load_recipe(tmp_path / "old.yaml")
    left_open = {
        "ddp_find_unused_parameters": None
    }  # the same training, with a search of the graph
    assert old.grpo == tiny.grpo.model_copy(update=left_open)
    assert (old.run, old.rollouts.sync) == (tiny.run, "merged")
    assert [old.completions_per_step(1), divided(old, 2).completions_per_step(2)] == [48, 48]


def test_an_override_of_a_key_that_a_file_leaves_to_its_default_is_taken(tmp_path: Path) -> None:
    old = read_recipe("tiny").values
    del old["grpo"]["epsilon_high"], old["rollouts"], old["run"]["prompts_per_step"]
    with (tmp_path / "old.yaml").open("w") as out:
        yaml().dump(old, out)
    recipe = load_recipe(tmp_path / "old.yaml", ["grpo.epsilon_high=0.3", "rollouts.sync=adapter"])
    assert (recipe.grpo.epsilon_high, recipe.rollouts.sync) == (0.3, "adapter")
    assert load_recipe(tmp_path / "old.yaml").rollouts.sync == "merged"
    with pytest.raises(RecipeError, match=r"unknown key 'grpo.epsilon_hihg'.*grpo.epsilon_high"):
        load_recipe(tmp_path / "old.yaml", ["grpo.epsilon_hihg=0.3"])
