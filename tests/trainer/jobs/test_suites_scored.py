"""The worker scores a run on a suite: one that it is asked for, and a run that was not started with `cusp train`."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cusp.cli.evaluation.asking import Asked, UnusableRecipe, give_here
from cusp.ids import new_id
from cusp.run_config import RECIPE_FILE
from tests.trainer.test_worker import Monitor, job, worker
from trainer.recipe import Recipe
from trainer.recipe_loader import write_recipe
from trainer.train import train
from trainer.training.model import load_base

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and peft, not ours


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    monitor = Monitor()
    yield monitor
    monitor.close()


@pytest.fixture(scope="module")
def run_id() -> str:
    """The run that the tests of this module share."""
    return new_id()


@pytest.fixture
def run(small: Callable[..., Recipe], cusp_dir: Path, run_id: str) -> tuple[str, Path]:
    """A run on this box with checkpoints of step 2 and 4, trained once."""
    root = cusp_dir / "runs" / run_id
    if not root.exists():
        train(small(), root, run_id=run_id, progress=lambda _: None)
    write_recipe(small(), root / RECIPE_FILE)
    return run_id, root


def scored(monitor: Monitor) -> set[tuple[str, str, int, int]]:
    return {
        (one["task"], one["split"], one["n_problems"], one["n_samples"])
        for one in (post["evaluation"] for post in monitor.posted("/evaluations"))
    }


def test_a_suite_is_scored_in_place_of_what_the_recipe_says(
    monitor: Monitor, run: tuple[str, Path], cusp_dir: Path
) -> None:
    said: list[str] = []
    order = job(*run, steps=(0, 2))
    order["payload"] |= {"asked": {"suite": "smoke", "max_new_tokens": 4}, "samples_per_problem": 1}
    monitor.jobs.append(order)
    assert worker(monitor, cusp_dir, said).work(exit_when_idle=True) == 1
    assert "error" not in monitor.posted("/finish")[0], said
    assert scored(monitor) == {
        ("reasoning_gym:chain_sum", "selection", 20, 20),
        ("champ", "report", 20, 20),
        ("reasoning_gym:chain_sum", "report", 20, 20),
    }


def test_the_tokens_that_are_told_beforehand_are_those_that_it_takes(
    monitor: Monitor, run: tuple[str, Path], cusp_dir: Path, small: Callable[..., Recipe]
) -> None:
    longer = ("selection_problems=200", "report_problems=200", "sampling.max_new_tokens=24")
    recipe = small(*(f"evaluation.{each}" for each in longer), "run.gpu_hourly_usd=1.0")
    write_recipe(recipe, run[1] / RECIPE_FILE)
    said: list[str] = []
    monitor.jobs.append(job(*run))
    assert worker(monitor, cusp_dir, said).work(exit_when_idle=True) == 1
    (line,) = [each for each in said if each.startswith("to generate: ")]
    (told,) = re.findall(
        r": ([\d,]+) completions of about ([\d,]+) tokens \(to (\d+) %\), about", line
    )
    completions, tokens, error = (float(each.replace(",", "")) for each in told)
    posts = [post["evaluation"] for post in monitor.posted("/evaluations")]
    assert completions == sum(each["n_samples"] for each in posts) == 3 * 2 * 400
    took = sum(each["n_samples"] * each["mean_tokens"] for each in posts)
    assert abs(tokens / took - 1) < 0.25
    assert error < 25
    assert line.endswith("USD")
    ids = [[row[0] for row in each["rows"]] for each in posts]
    assert all(
        len(set(each)) == 200 and len(each) == 400 for each in ids
    )  # the pilot repeats no row


def test_what_an_evaluation_before_has_made_is_told_as_made(
    monitor: Monitor, run: tuple[str, Path], cusp_dir: Path, small: Callable[..., Recipe]
) -> None:
    shorter = ("selection_problems=60", "report_problems=60", "sampling.max_new_tokens=4")
    write_recipe(small(*(f"evaluation.{each}" for each in shorter)), run[1] / RECIPE_FILE)
    lines: list[list[str]] = []
    for steps in ((0, 2), (0, 2, 4)):
        said: list[str] = []
        monitor.jobs.append(job(*run, steps=steps))
        assert worker(monitor, cusp_dir, said).work(exit_when_idle=True) == 1
        (line,) = [each for each in said if each.startswith("to generate: ")]
        lines.append(line.removeprefix("to generate: ").split(", "))
    (first, second) = lines
    assert first[0].startswith("480 completions")
    assert first[1].startswith("about ")
    assert second[0].startswith("720 completions")
    assert second[1] == "480 of them made before"
    assert second[2].startswith(
        "about "
    )  # by the one that was not scored: what is stored tells no pace


def test_a_task_that_is_not_on_the_box_fails_the_job_with_what_to_do(
    monitor: Monitor, run: tuple[str, Path], cusp_dir: Path
) -> None:
    order = job(*run)
    order["payload"] |= {"asked": {"suite": "tina"}}
    monitor.jobs.append(order)
    worker(monitor, cusp_dir, []).work(exit_when_idle=True)
    assert "cusp tasks fetch aime24" in monitor.posted("/finish")[0]["error"]


def test_a_run_without_a_recipe_is_scored_with_a_base_of_this_box(
    monitor: Monitor,
    run: tuple[str, Path],
    cusp_dir: Path,
    small: Callable[..., Recipe],
    tmp_path: Path,
) -> None:
    run_id, root = run
    (root / RECIPE_FILE).unlink()  # as `cusp.watch` leaves it
    with pytest.raises(UnusableRecipe, match="name its base model with --base"):
        give_here(run_id, Asked("smoke", None, None, "openai", "http://127.0.0.1:9"))
    model, tokenizer = load_base(small(), cusp_dir / "cache", lambda _: None)
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    asked = Asked("smoke", str(tmp_path / "base"), 4, "hf", None)
    assert asked.of_this_box
    given = give_here(run_id, asked)
    order, said = job(run_id, root, steps=(0, 2)), list[str]()
    order["payload"] |= {"asked": {"given_here": given}, "samples_per_problem": 1}
    monitor.jobs.append(order)
    worker(monitor, cusp_dir, said).work(exit_when_idle=True)
    assert "error" not in monitor.posted("/finish")[0], said
    assert len(scored(monitor)) == 3
    assert not (root / RECIPE_FILE).exists()  # a resume would train by it
    give_here(run_id, asked)  # once more
    write_recipe(small(), root / RECIPE_FILE)
    with pytest.raises(UnusableRecipe, match="leave --base out"):
        give_here(run_id, asked)


def test_options_that_contradict_each_other_are_told() -> None:
    with pytest.raises(UnusableRecipe, match="there is no engine 'sglang'"):
        Asked("smoke", None, None, "sglang", None)
    with pytest.raises(UnusableRecipe, match="belong together"):
        Asked("smoke", None, None, "openai", None)
    with pytest.raises(UnusableRecipe, match="belong together"):
        Asked("smoke", None, None, "hf", "http://127.0.0.1:9")
    assert not Asked("smoke", "Qwen/Qwen3-0.6B", None, "hf", None).of_this_box
