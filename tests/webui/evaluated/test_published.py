from typing import Any

import pytest

from tests.webui import shapes
from tests.webui.markup import Page
from webui import pages
from webui.evaluated import published_row
from webui.evaluated.benchmark_table import benchmarks
from webui.evaluated.proportions import Proportion, difference, mean, wilson
from webui.evaluated.tina_scores import BASE, BY_RECIPE, PROBLEMS

AVERAGES = {
    "still": 48.16,
    "deepscaler": 48.38,
    "open-rs1": 48.56,
    "open-rs2": 50.60,
    "open-rs3": 49.45,
    "open-rs3-drgrpo": 49.53,
    "open-r1": 49.26,
    "thoughts": 49.19,
    "limr": 48.47,
    "limr-large-lr": 47.87,
    "limr-small-lr": 47.91,
    "limr-large-rank": 46.95,
    "limr-medium-rank": 48.92,
    "limr-small-rank": 47.89,
    "limr-tiny-rank": 47.72,
}
"""The averages that the paper's tables give, as a check of what was copied from them."""

TINA = {"run": {"project": "tina", "name": "open-rs2"}}


def scored(step: int, **shares: float) -> list[dict[str, Any]]:
    """Scores on some tasks, each with an interval of 5 points on either side."""
    return [
        shapes.evaluation(
            step,
            value,
            task=task,
            low=value - 0.05,
            high=value + 0.05,
            fixed_low=value - 0.03,
            fixed_high=value + 0.03,
            n_problems=PROBLEMS.get(task, 100),
            samples_per_problem=4,
            preset="lighteval",
        )
        for task, value in shares.items()
    ]


@pytest.mark.parametrize("name", BY_RECIPE)
def test_the_published_scores_have_the_published_average(name: str) -> None:
    percent = BY_RECIPE[name].percent
    assert sum(percent) / 6 == pytest.approx(AVERAGES[name], abs=0.006)


@pytest.mark.parametrize("model", [BASE, *BY_RECIPE.values()], ids=lambda model: model.model)
def test_each_published_score_is_a_whole_number_of_its_problems(model: Any) -> None:
    for task, n in PROBLEMS.items():
        right = model.shares[task] * n
        assert right == pytest.approx(round(right), abs=0.02), task


def test_newcombes_interval_is_that_of_his_paper() -> None:
    """Newcombe 1998, table II, method 10, contrast 56/70 - 48/80 and 9/10 - 3/10."""
    one = difference(wilson(56 / 70, 70), wilson(48 / 80, 80))
    assert (one.low, one.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    two = difference(wilson(9 / 10, 10), wilson(3 / 10, 10))
    assert (two.low, two.high) == pytest.approx((0.1705, 0.8090), abs=1e-4)


def test_the_mean_of_tasks_has_the_error_of_all() -> None:
    found = mean([Proportion(0.5, 0.4, 0.6), Proportion(0.7, 0.6, 0.8)])
    assert found.value == pytest.approx(0.6)
    assert found.high - found.value == pytest.approx(0.1 / 2**0.5)


def test_a_run_of_a_tina_recipe_stands_beside_the_published_row() -> None:
    run = shapes.run(config=TINA)
    scores = scored(20, aime24=0.4, math500=0.86) + scored(30, aime24=0.3, math500=0.85)
    page = Page(pages.section("evaluations", run, evaluations=scores))
    assert "Tina-Open-RS2 published, at 51 % of its epoch, k 1" in page.text
    assert "43.3 % 27.4–60.8" in page.text
    assert "arXiv 2504.15777" in page.text
    assert "n 500, k 4, lighteval" in page.text
    columns = [e.text for e in page.all("th", scope="col")]
    assert columns[1].startswith("aime24")
    assert columns[2].startswith("math500")


def test_cusp_says_that_a_small_difference_to_the_published_row_is_not_distinguishable() -> None:
    table = benchmarks(shapes.run(config=TINA), scored(20, aime24=0.3, math500=0.86), None)
    assert table is not None
    assert "on none of 2 tasks (5 % in all)" in table.said[0]
    assert "aime24 −13.3" in table.said[0]


def test_cusp_says_where_a_difference_to_the_published_row_is_more_than_chance() -> None:
    table = benchmarks(shapes.run(config=TINA), scored(20, aime24=0.4, math500=0.6), None)
    assert table is not None
    assert "on 1 of 2 tasks (5 % in all): math500 (−27.0" in table.said[0]


@pytest.mark.parametrize("name", BY_RECIPE)
def test_the_published_gain_of_no_recipe_shows_on_a_single_task(name: str) -> None:
    """What the five-seed reproduction found, said of the published numbers alone."""
    said = published_row.own_gain(BY_RECIPE[name])
    assert "can be told from chance on none of 6 tasks" in said
    assert "part of it is the choice's" in said


def test_another_judge_is_named_as_a_reason_for_a_difference() -> None:
    assert "Here the judge is reward" in published_row.settings(["reward"])
    assert "Here the judge" not in published_row.settings(["lighteval"])


@pytest.mark.parametrize(
    "config", [{}, {"run": {"project": "mine", "name": "open-rs2"}}, {"run": "open-rs2"}]
)
def test_a_run_of_no_tina_recipe_has_no_published_row(config: Any) -> None:
    table = benchmarks(shapes.run(config=config), scored(20, aime24=0.4, math500=0.8), None)
    assert table is not None
    assert (table.published, table.said) == (None, [])


def test_a_candidate_that_lacks_a_task_has_no_mean_and_a_dash() -> None:
    table = benchmarks(
        shapes.run(), scored(20, aime24=0.4, champ=0.8) + scored(30, champ=0.7), None
    )
    assert table is not None
    assert [row.mean is None for row in table.rows] == [False, True]
    assert [column.task for column in table.columns] == ["aime24", "champ"]


def test_one_task_without_a_published_row_needs_no_table_of_benchmarks() -> None:
    assert benchmarks(shapes.run(), scored(20, champ=0.4), None) is None


def test_over_all_problems_together_four_published_gains_are_more_than_chance() -> None:
    gains = {name: published_row.pooled(model) for name, model in BY_RECIPE.items()}
    assert gains["open-rs2"] == pytest.approx((0.0495, 0.0354), abs=5e-4)
    sure = {name for name, (gain, half) in gains.items() if gain > half}
    assert sure == {"open-rs2", "open-rs3", "open-r1", "thoughts"}
    assert "lets chance do" in published_row.own_gain(BY_RECIPE["limr"])
