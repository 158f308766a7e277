"""The best is chosen on one set, reported on the other, and is the reference unless another one is better."""

import numpy as np
import pytest

from cusp.statistics.comparison import ScoredCandidate, compare
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.sample_row import SampleRow
from trainer.evaluation.screening import dropped


def evaluation(split: str, right: int, problems: int = 200, task: str = "t") -> Evaluation:
    """One sample a problem; the first `right` problems are solved."""
    rows = tuple(SampleRow(str(n), 0, float(n < right), 5, "stop", n) for n in range(problems))
    share = right / problems
    return Evaluation(
        task, split, 1, share, share, share, share, share, problems, problems, 0, 5.0, 0.0, rows
    )  # fmt: skip


def candidate(step: int, selection: int, report: int | None, *roles: str) -> ScoredCandidate:
    reported = () if report is None else (evaluation("report", report),)
    return ScoredCandidate(roles, step, (evaluation("selection", selection),), reported)


def test_the_best_on_the_selection_set_is_best_when_the_report_set_says_better() -> None:
    found = compare(
        [
            candidate(0, 100, 100, "base"),
            candidate(20, 180, 170, "ladder"),
            candidate(40, 150, 150, "pre-transition"),
            candidate(90, 20, 20, "last"),
        ],
        40,
    )
    assert found["best"] == {"roles": ["ladder"], "step": 20}
    assert found["reference"] == {"role": "pre-transition", "step": 40}
    assert [row["step"] for row in found["rows"]] == [0, 20, 90]
    assert [row["verdict"] for row in found["rows"]] == ["worse", "better", "worse"]
    assert found["rows"][1]["difference"] == pytest.approx(0.1)
    assert found["reason"].startswith(
        "Step 20 (ladder) is better than step 40 (pre-transition): +0.100, 95 % +0.0"
    )


def test_a_winner_that_is_not_better_on_the_report_set_leaves_the_reference_standing() -> None:
    found = compare(
        [candidate(20, 180, 152, "ladder"), candidate(40, 150, 150, "pre-transition")],
        40,
        planned_mde=0.07,
    )
    assert found["best"] == {"roles": ["pre-transition"], "step": 40}
    assert found["rows"][0]["verdict"] == "not distinguishable"
    assert found["reason"].startswith(
        "Step 40 (pre-transition) stands. Of 2 candidates step 20 (ladder) scored highest on the selection"
        " set (0.900), but on the report set it is not distinguishable from step 40 (pre-transition):"
        " +0.010, 95 % -0.004 to +0.024"
    )
    assert found["reason"].endswith("equal within 0.03.")
    assert found["rows"][0]["equivalent"]
    assert (found["alpha"], found["margin"], found["planned_mde"]) == (0.05, 0.03, 0.07)


def test_a_winner_that_the_report_set_calls_worse_is_not_kept() -> None:
    found = compare(
        [candidate(20, 180, 100, "ladder"), candidate(40, 150, 150, "pre-transition")], 40
    )
    assert found["best"] == {"roles": ["pre-transition"], "step": 40}
    assert "worse" in found["reason"]


def test_a_tie_goes_to_the_reference() -> None:
    found = compare([candidate(20, 150, 150), candidate(40, 150, 150, "pre-transition")], 40)
    assert found["best"]["step"] == 40
    row = found["rows"][0]
    assert (row["difference"], row["low"], row["high"]) == (0.0, 0.0, 0.0)
    assert (row["fixed_low"], row["fixed_high"], row["p_adjusted"]) == (0.0, 0.0, 1.0)


def test_identical_scores_on_few_problems_are_told_as_too_few_to_be_equal() -> None:
    def few(step: int, selection: int) -> ScoredCandidate:
        sets = (evaluation("selection", selection, 20),), (evaluation("report", 10, 20),)
        return ScoredCandidate((), step, *sets)

    found = compare([few(20, 15), few(40, 10)], 40)
    (row,) = found["rows"]
    assert (row["equivalent"], row["difference"], row["mde"]) == (False, 0.0, None)
    assert found["reason"].endswith(
        "all scores are the same, but 20 problems are too few to call them equal within 0.03."
    )


def test_without_a_transition_the_last_is_the_reference() -> None:
    found = compare([candidate(0, 10, 10, "base"), candidate(40, 150, 150, "last")], None)
    assert found["reference"] == {"role": "last", "step": 40}
    assert found["best"]["step"] == 40


def test_without_the_scores_of_the_reference_nothing_is_best() -> None:
    """The last checkpoint must not take its place: best would move past the transition."""
    given = [
        candidate(0, 50, 50, "base"),
        candidate(30, 150, 150, "before"),
        candidate(60, 180, 190, "after"),
        candidate(80, 100, 100, "last"),
    ]
    found = compare(given, 40, left_out=["Step 40 was left out: its hash differs."])
    assert found["best"] is None
    assert found["reference"] == {"role": "before", "step": 30}
    assert [row["step"] for row in found["rows"]] == [0, 60, 80]
    assert found["reason"] == (
        "The reference, step 40, could not be scored, so no checkpoint is chosen; the differences are to step 30"
        " (before). Step 40 was left out: its hash differs."
    )
    later = compare(given[2:], 40)
    assert (later["best"], later["reference"]["step"]) == (None, 60)
    assert dropped(given, 40, 0.05) == {0, 80}


def test_a_row_is_corrected_for_the_others() -> None:
    """7 problems of 200, all one way: p .008 alone; among seven rows, of a reference that ranks first, .055."""
    others = [candidate(step, 140, 143) for step in range(1, 8)]
    rows = compare([*others, candidate(40, 150, 150, "pre-transition")], 40)["rows"]
    assert all(row["p_value"] == pytest.approx(1 / 2**7) for row in rows)
    assert all(row["p_adjusted"] == pytest.approx(7 / 2**7) for row in rows)
    assert {row["verdict"] for row in rows} == {"not distinguishable"}
    alone = compare([others[0], candidate(40, 150, 150, "pre-transition")], 40)["rows"]
    assert alone[0]["verdict"] == "worse"


def test_what_the_screen_drops_is_told_worse_on_the_selection_set() -> None:
    both = [candidate(20, 100, 90), candidate(30, 149, 149), candidate(40, 150, 150)]
    assert dropped(both, 40, 0.002) == {20}
    assert dropped([candidate(20, 149, None), candidate(40, 150, None)], 40, 0.002) == set()
    left = [candidate(20, 100, None), *both[1:]]
    rows = compare(left, 40, alphas=(0.002, 0.048))["rows"]
    assert [(row["step"], row["split"], row["verdict"]) for row in rows] == [
        (20, "selection", "worse"),
        (30, "report", "not distinguishable"),
    ]
    assert rows[0]["difference"] == pytest.approx(-0.25)


def test_several_tasks_are_pooled_by_problem_and_told_one_by_one() -> None:
    def on_two(step: int, hard: int, easy: int) -> ScoredCandidate:
        selection, report = (
            tuple(evaluation(split, n, 50, task) for task, n in (("easy", easy), ("hard", hard)))
            for split in ("selection", "report")
        )
        return ScoredCandidate((), step, selection, report)

    found = compare([on_two(20, 40, 41), on_two(40, 20, 40)], 40)
    (row,) = found["rows"]
    assert found["task"] == "easy + hard"
    assert row["difference"] == pytest.approx(21 / 100)
    assert [(one["task"], one["verdict"]) for one in row["tasks"]] == [
        ("easy", "not distinguishable"),
        ("hard", "better"),
    ]
    assert found["best"]["step"] == 20


def test_tasks_of_all_rows_are_corrected_together() -> None:
    """6 problems of 50, all one way, on one task of one row: p .016, of 2 x 2 differences .0625."""

    def on_two(step: int, hard: int) -> ScoredCandidate:
        selection, report = (
            tuple(evaluation(split, n, 50, task) for task, n in (("easy", 40), ("hard", hard)))
            for split in ("selection", "report")
        )
        return ScoredCandidate((), step, selection, report)

    found = compare([on_two(10, 20), on_two(20, 26), on_two(40, 20)], 40)
    tasks = [one for row in found["rows"] for one in row["tasks"]]
    assert [one["p_adjusted"] for one in tasks] == pytest.approx([1, 1, 1, 4 / 64])
    assert {one["verdict"] for one in tasks} == {"not distinguishable"}


def test_each_set_has_its_own_level() -> None:
    given = [candidate(20, 100, None), candidate(30, 149, 149), candidate(40, 150, 150)]
    found = compare(given, 40, alphas=(0.002, 0.048))
    assert [row["level"] for row in found["rows"]] == [0.002, 0.048]
    assert found["alpha"] == 0.05


def test_of_eight_equal_candidates_the_reference_is_left_in_at_most_a_tenth() -> None:
    rng, left, worse, runs = np.random.default_rng(9), 0, 0, 100
    for _ in range(runs):
        candidates = []
        chances = [rng.beta(0.55, 0.45, n) for n in (200, 300)]
        for step in range(1, 9):
            sets = [
                _sampled(rng, split, each)
                for split, each in zip(("selection", "report"), chances, strict=True)
            ]
            candidates.append(ScoredCandidate((), step, (sets[0],), (sets[1],)))
        found = compare(candidates, 3)
        left += found["best"]["step"] != 3
        worse += any(row["verdict"] == "worse" for row in found["rows"])
    assert left / runs <= 0.06
    assert worse / runs <= 0.055


def _sampled(rng: np.random.Generator, split: str, chances: np.ndarray) -> Evaluation:
    scores = (rng.random((len(chances), 2)) < chances[:, None]).astype(float)
    rows = tuple(
        SampleRow(str(n), k, float(scores[n, k]), 5, "stop", 0)
        for n in range(len(scores))
        for k in (0, 1)
    )
    mean = float(scores.mean())
    n = len(scores)
    return Evaluation("t", split, 2, mean, mean, mean, mean, mean, n, 2 * n, 0, 5.0, 0.0, rows)


def test_scores_become_a_table_with_undecided_samples_as_nan() -> None:
    rows = (SampleRow("a", 0, 1.0, 3, "stop", 1), SampleRow("a", 1, None, 3, "stop", 2))
    found = Evaluation("t", "report", 2, 1.0, 0.2, 1.0, 0.2, 1.0, 1, 1, 1, 3.0, 0.0, rows).scores
    assert found.shape == (1, 2)
    assert np.isnan(found[0, 1])
