"""Recipes are read strictly: nothing unknown, nothing missing, nothing implied."""

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from trainer.recipe_files import find_recipe
from trainer.recipe_loader import RecipeError, load_recipe, recipe_names, write_recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_its_resolved_copy_reads_back_the_same(
    name: str, tmp_path: Path
) -> None:
    recipe = load_recipe(name)
    write_recipe(recipe, tmp_path / "recipe.yaml")
    assert load_recipe(tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize("text", ["yes", "1e-6", "é\u2028\n \n" * 40, "{a: b}", "", "~", "0o7"])
def test_a_text_in_a_recipe_stays_the_text_it_is(text: str, tmp_path: Path) -> None:
    recipe = load_recipe("tiny")
    named = recipe.model_copy(update={"run": recipe.run.model_copy(update={"name": text})})
    write_recipe(named, tmp_path / "recipe.yaml")
    assert load_recipe(tmp_path / "recipe.yaml") == named


def test_a_recipe_that_cannot_be_written_leaves_the_one_that_was_there(tmp_path: Path) -> None:
    """The disk is full, or the training is killed within: the run can still be resumed."""
    file = tmp_path / "recipe.yaml"
    recipe = load_recipe("tiny")
    write_recipe(recipe, file)
    limited = (
        "import resource, signal, sys; from pathlib import Path;"
        "from trainer.recipe_loader import load_recipe, write_recipe;"
        "recipe = load_recipe('tiny', ['seed=7']);"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "write_recipe(recipe, Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, str(file)], capture_output=True, text=True, check=False
    )
    assert "File too large" in done.stderr
    assert load_recipe(file) == recipe


def test_the_same_recipe_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    write_recipe(load_recipe("tiny"), file)
    before = file.stat()
    write_recipe(load_recipe(file), file)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    write_recipe(load_recipe("tiny", ["seed=7"]), file)
    assert load_recipe(file) == load_recipe("tiny", ["seed=7"])
    assert [each.name for each in tmp_path.iterdir()] == ["recipe.yaml"]


def test_the_control_differs_from_the_tiny_recipe_only_in_what_provokes_a_transition() -> None:
    tiny, control = load_recipe("tiny"), load_recipe("tiny_healthy")
    assert tiny.data.kind == control.data.kind == "tiny"
    assert (tiny.data.hard_share > 0, control.data.hard_share) == (True, 0.0)
    assert {each.name: each.weight for each in control.rewards} == {"format": 1, "accuracy": 2}
    same = {"data": tiny.data, "rewards": tiny.rewards, "run": tiny.run}
    assert control.model_copy(update=same) == tiny


def test_an_override_changes_one_value() -> None:
    recipe = load_recipe("tiny", ["grpo.learning_rate=3e-4", "rewards.format.weight=0.5", "seed=7"])
    assert recipe.grpo.learning_rate == 3e-4
    assert recipe.rewards[0].weight == 0.5
    assert recipe.seed == 7


def test_an_override_may_take_a_section_of_another_recipe() -> None:
    recipe = load_recipe("tina_open_rs2", ["model=@tiny", "data=@tiny"])
    assert recipe.model == load_recipe("tiny").model
    assert recipe.data.kind == "tiny"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("grpo.learning_rat=1", "did you mean grpo.learning_rate?"),
        ("modle.seed=1", "did you mean model?"),
        ("rewards.acuracy.weight=1", "did you mean rewards.accuracy?"),
        ("model={kind: tiny, hiden_size: 1}", "'model.hidden_size' is missing"),
        ("grpo.temperature=-1", "grpo.temperature = -1"),
        ("grpo.num_generations=5", "cannot be cut into groups of 5"),
        ("rewards=[{name: format, weight: 0}]", "nothing would be learnt"),
        ("data=@nowhere", "there is no recipe 'nowhere'"),
        ("seed", "write key=value"),
        (
            "grpo.max_steps=abc",
            "in the override 'grpo.max_steps=abc' is not allowed: it must be a whole",
        ),
        ("model.kind=big", "model.kind = 'big' in the override 'model.kind=big' is not allowed"),
        ("model.kind=big", "it must be one of 'tiny', 'pretrained'"),
        ("grpo=5", "it must be a section with keys of its own"),
        ("rewards=[]", "the list needs 1 or more"),
        ("run.policy.action=halt", "it must be 'stop', 'propose' or 'watch'"),
        ("rewards=[", "the value '[' of rewards is no valid YAML"),
        ("rewards=[{name: format, name: cosine}]", "of rewards: the key 'name' comes twice"),
        ("seed=2026-13-01", "no valid YAML: month must be in 1..12"),
        ("seed=!!bool x", "the value '!!bool x' of seed is no valid YAML"),
        ("rewards.0.wieght=1", "did you mean rewards.0.weight?"),
        ("rewards=[{name: format, weight: 1, clamp: true}]", "unknown key 'rewards.0.clamp'"),
    ],
)
def test_a_bad_override_is_refused_with_the_way_out(override: str, words: str) -> None:
    with pytest.raises(RecipeError) as refused:
        load_recipe("tiny", [override])
    assert words in str(refused.value)


@pytest.mark.parametrize("section", ["run", "model", "lora", "data", "grpo", "evaluation"])
def test_an_unknown_key_in_a_file_is_refused_by_name_with_the_nearest_known_one(
    section: str, tmp_path: Path
) -> None:
    yaml = YAML(typ="safe", pure=True)
    raw = yaml.load(find_recipe("tiny"))
    known = next(iter(raw[section].keys() - {"kind"}))
    raw[section][f"{known}_"] = 1
    file = tmp_path / "mine.yaml"
    yaml.dump(raw, file)
    with pytest.raises(RecipeError) as refused:
        load_recipe(file)
    message = str(refused.value)
    assert f"unknown key '{section}.{known}_'" in message
    assert f"did you mean {section}.{known}?" in message
    assert str(file) in message


def test_the_key_that_cost_tina_its_ablation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "typo.yaml").write_text("extends: [tina_open_rs2]\ngrpo: {scale_reward: false}\n")
    with pytest.raises(RecipeError, match=r"unknown key 'grpo.scale_reward' .* grpo.scale_rewards"):
        load_recipe(tmp_path / "typo.yaml")


def test_a_key_that_comes_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text(find_recipe("tiny").read_text() + "\nseed: 1\n")
    with pytest.raises(RecipeError, match="'seed' comes twice"):
        load_recipe(tmp_path / "twice.yaml")


def test_a_missing_file_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(RecipeError, match="tiny"):
        load_recipe("no_such_recipe")


def test_a_recipe_is_data_and_cannot_run_anything(tmp_path: Path) -> None:
    hurt = tmp_path / "hurt"
    text = find_recipe("tiny").read_text()
    file = tmp_path / "mine.yaml"
    file.write_text(
        f'{text}\nnote: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ["{hurt}"]]\n'
    )
    with pytest.raises(RecipeError, match="python/object/apply"):
        load_recipe(file)
    with pytest.raises(RecipeError):
        load_recipe(find_recipe("tiny"), [f'run.name=!!python/object/apply:os.mkdir ["{hurt}"]'])
    assert not hurt.exists()
