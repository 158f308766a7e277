"""The best is chosen on one set and reported on the other."""

import numpy as np
import pytest

from trainer.evaluation.comparison import ScoredCandidate, compare
from trainer.evaluation.evaluate import Evaluation


def evaluation(split: str, right: int, problems: int = 200) -> Evaluation:
    """One sample a problem; the first `right` problems are solved."""
    rows = tuple((str(n), 0, float(n < right), 5, "stop", n) for n in range(problems))
    share = right / problems
    return Evaluation(
        "t", split, 1, share, share, share, problems, problems, 0, 5.0, 0.0, rows
    )  # fmt: skip


def candidate(step: int, selection: int, report: int, *roles: str) -> ScoredCandidate:
    return ScoredCandidate(
        roles, step, evaluation("selection", selection), evaluation("report", report)
    )


def test_the_best_on_the_selection_set_is_best_when_the_report_set_agrees() -> None:
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
    assert "step 20 (ladder)" in found["reason"]


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


def test_without_a_transition_the_last_is_the_reference() -> None:
    found = compare([candidate(0, 10, 10, "base"), candidate(40, 150, 150, "last")], None)
    assert found["reference"] == {"role": "last", "step": 40}
    assert found["best"]["step"] == 40


def test_scores_become_a_table_with_undecided_samples_as_nan() -> None:
    rows = (("a", 0, 1.0, 3, "stop", 1), ("a", 1, None, 3, "stop", 2))
    found = Evaluation("t", "report", 2, 1.0, 0.2, 1.0, 1, 1, 1, 3.0, 0.0, rows).scores
    assert found.shape == (1, 2)
    assert np.isnan(found[0, 1])
