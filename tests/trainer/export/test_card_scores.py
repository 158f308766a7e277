from typing import Any

import pytest

from tests.browser.evaluated_run import GAINS, REFERENCE, TASKS, compared, drawn, scored
from trainer.export.card_scores import evaluation_part

SCORES = drawn()
COMPARISON = compared(SCORES)


def evaluations(step: int, **more: Any) -> list[dict[str, Any]]:
    return [
        scored(step, f"C{step}", task, found) | {"preset": "lighteval"} | more
        for task, found in SCORES[step].items()
    ]


def part(step: int, comparison: dict[str, Any] | None = COMPARISON, **more: Any) -> str:
    every = [each for one in GAINS for each in evaluations(one, **more)]
    return evaluation_part({"id": f"C{step}"}, every, comparison)


def test_each_task_stands_with_both_intervals_n_k_and_its_judge() -> None:
    text = part(REFERENCE)
    for task, (n, k, _) in TASKS.items():
        own = next(each for each in evaluations(REFERENCE) if each["task"] == task)
        (line,) = [one for one in text.splitlines() if one.startswith(f"| {task} |")]
        assert f"| {n} x {k} | lighteval |" in line
        assert f"{own['low']:.3f} to {own['high']:.3f}" in line
        assert f"{own['fixed_low']:.3f} to {own['fixed_high']:.3f}" in line


def test_the_reference_is_compared_with_every_candidate_and_says_what_is_not_distinguishable() -> (
    None
):
    text = part(REFERENCE)
    assert "### Compared with this checkpoint" in text
    lines = [one for one in text.splitlines() if one.startswith(("| step", "| base"))]
    assert len(lines) == (len(GAINS) - 1) * (1 + len(TASKS))
    unsure = [row for row in COMPARISON["rows"] if row["verdict"] == "not distinguishable"]
    assert unsure
    (said,) = [one for one in text.splitlines() if one.startswith("Not distinguishable")]
    assert said.count("(") == len([row for row in unsure if row["step"]])
    assert "at 5% in all" in text


def test_a_candidate_is_compared_with_the_reference_only() -> None:
    text = part(800)
    assert f"### Compared with step {REFERENCE} (pre-transition)" in text
    assert "| step 250" not in text
    row = next(row for row in COMPARISON["rows"] if row["step"] == 800)
    assert f"| step 800 (last) | all | {100 * row['difference']:+.1f} |" in text
    assert "| worse |" in text
    assert "Not distinguishable" not in text


def test_a_candidate_that_cannot_be_told_from_the_reference_says_so() -> None:
    said = f"Not distinguishable from step {REFERENCE} (pre-transition): this checkpoint."
    assert said in part(250)


def test_how_it_was_chosen_is_told_with_the_margin() -> None:
    text = part(REFERENCE)
    assert "### How it was chosen\n\nThe reference stands: no candidate is better." in text
    assert "ranked on the selection set" in text
    assert "equal: within 3 points" in text


def test_a_comparison_of_named_checkpoints_chooses_none() -> None:
    assert "the comparison chooses none" in part(250, COMPARISON | {"named": True})


def test_what_others_brought_and_left_out_is_told() -> None:
    more = {"source": "import:lm_eval", "preset": None, "truncated_share": None, "errors": 3}
    text = part(REFERENCE, None, **more)
    assert "Not scored by a worker of Cusp: import:lm_eval." in text
    assert "not told | not told |" in text
    assert f"Undecided: {3 * len(TASKS)} of " in text
    assert "###" not in text


def test_a_bound_for_this_fixed_set_is_not_called_an_interval() -> None:
    assert "at most" not in part(REFERENCE, None)
    text = part(REFERENCE, None, fixed_bound=True)
    own = evaluations(REFERENCE)[0]
    assert f"| at most {own['fixed_low']:.3f} to {own['fixed_high']:.3f} |" in text
    assert "a bound, at most this wide: it takes two" in text


@pytest.mark.parametrize("found", [[], evaluations(0)])
def test_a_checkpoint_without_scores_says_so(found: list[dict[str, Any]]) -> None:
    assert evaluation_part({"id": "C1"}, found, COMPARISON).endswith("was not evaluated.")


def test_a_score_that_was_brought_without_its_rows_leaves_out_what_was_not_told() -> None:
    untold = dict.fromkeys(
        ("samples_per_problem", "n_samples", "errors", "fixed_low", "fixed_high")
    )
    text = part(REFERENCE, None, **untold, source="rest")
    assert "| 500 x not told |" in text
    assert "None" not in text
