"""`cusp recipes`, and the preset of `cusp train`."""

import json

import pytest
from typer.testing import CliRunner, Result

from cusp.cli.app import app
from cusp.errors import CuspError
from trainer.recipe_files import shipped
from trainer.recipe_loader import load_recipe, recipe_text


def cusp(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_the_list_has_a_line_for_each_recipe_with_its_presets() -> None:
    lines = cusp("recipes").stdout.splitlines()
    assert len(lines) == 2 + len(shipped())
    (limr,) = [line.split() for line in lines if line.startswith("tina_limr ")]
    assert limr[1:4] == ["paper,", "modern", "Tina-LIMR:"]
    listed = {each["name"]: each for each in json.loads(cusp("recipes", "--json").stdout)}
    assert listed.keys() == shipped().keys()
    assert listed["tina_open_rs3_drgrpo"]["presets"] == ["paper", "modern", "as_run"]
    assert listed["tiny"]["presets"] == []


def test_a_recipe_is_shown_resolved() -> None:
    recipe = load_recipe("tina_limr/modern")
    assert cusp("recipes", "tina_limr/modern").stdout == recipe_text(recipe)
    shown = json.loads(cusp("recipes", "tina_limr/modern", "--json").stdout)
    assert shown == recipe.model_dump(mode="json")


def test_two_recipes_are_compared_by_value() -> None:
    text = cusp("recipes", "--diff", "tina_limr", "tina_limr/modern").stdout
    assert ["grpo.learning_rate", "1e-06", "1e-05"] in [line.split() for line in text.splitlines()]
    found = json.loads(cusp("recipes", "--diff", "tina_limr", "tina_limr/modern", "--json").stdout)
    by_key = {each["key"]: each for each in found}
    assert by_key["lora.lora_alpha"] == {
        "key": "lora.lora_alpha",
        "values": [128, 32],
        "absent": [False, False],
    }
    assert by_key["grpo.generation_kwargs.temperature"]["absent"] == [False, True]
    assert "have the same values" in cusp("recipes", "--diff", "tiny", "tiny").stdout


def test_a_preset_chooses_the_recipe_that_is_trained() -> None:
    with pytest.raises(CuspError, match=r"limr.yaml has no preset 'future'; it has paper, modern"):
        cusp("train", "tina_limr", "--preset", "future")
    with pytest.raises(CuspError, match="32 completions a step cannot be shared by 5 processes"):
        cusp("train", "tina_limr", "--preset", "modern", "--processes", "5")
    with pytest.raises(CuspError, match="--preset modern needs a recipe"):
        cusp("train", "--resume", "--run-id", "01J00000000000000000000000", "--preset", "modern")
