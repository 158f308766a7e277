"""Intervals cover, false alarms are rare, equal is exactly equal; on simulated checkpoints."""

import numpy as np
import pytest

from trainer.evaluation.statistics import Scores, paired_difference, pass_at_1


def draw(rng: np.random.Generator, chances: Scores, samples: int) -> Scores:
    return (rng.random((len(chances), samples)) < chances[:, None]).astype(float)


def difficulty(rng: np.random.Generator, mean: float, problems: int) -> Scores:
    """Chances of problems of very different difficulty (Beta with a + b = 1)."""
    return rng.beta(mean, 1 - mean, problems)


@pytest.mark.parametrize(("mean", "problems", "samples"), [(0.3, 60, 4), (0.85, 300, 2)])
def test_the_interval_of_pass_at_1_covers_the_truth_93_to_97_times_of_100(
    mean: float, problems: int, samples: int
) -> None:
    rng, hits = np.random.default_rng(1), 0
    for _ in range(2_000):
        estimate = pass_at_1(draw(rng, difficulty(rng, mean, problems), samples))
        hits += estimate.low <= mean <= estimate.high
    assert 0.93 <= hits / 2_000 <= 0.97


def test_two_equal_checkpoints_are_called_worse_at_most_55_times_of_1000() -> None:
    rng, covered, worse = np.random.default_rng(2), 0, 0
    for number in range(1_000):
        first, second = (
            {
                "sums": draw(rng, chances[0], 2),
                "words": draw(rng, chances[1], 4),
            }
            for chances in [(difficulty(rng, 0.6, 120), difficulty(rng, 0.3, 30))]
            for _ in range(2)
        )
        difference = paired_difference(first, second, seed=number)
        covered += difference.low <= 0 <= difference.high
        worse += difference.verdict == "worse"
    assert 0.93 <= covered / 1_000 <= 0.97
    assert worse / 1_000 <= 0.055


def test_identical_scores_differ_by_exactly_nothing() -> None:
    scores = draw(np.random.default_rng(3), np.full(50, 0.4), 3)
    difference = paired_difference({"t": scores}, {"t": scores.copy()})
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)
    assert difference.verdict == "not distinguishable"


def test_a_drop_as_large_as_the_stated_minimum_is_found_four_times_of_five() -> None:
    rng, found, runs = np.random.default_rng(4), 0, 400
    chances = np.full(300, 0.6)
    mde = paired_difference({"t": draw(rng, chances, 2)}, {"t": draw(rng, chances, 2)}).mde
    for number in range(runs):
        worse, better = draw(rng, chances - mde, 2), draw(rng, chances, 2)
        found += paired_difference({"t": worse}, {"t": better}, number).verdict == "worse"
    assert 0.72 <= found / runs <= 0.88


def test_an_undecided_sample_is_left_out_and_counted() -> None:
    scores = np.array([[1.0, np.nan], [0.0, 0.0], [np.nan, np.nan]])
    estimate = pass_at_1(scores)
    assert estimate.value == 0.5
    assert (estimate.problems, estimate.samples, estimate.errors) == (2, 3, 3)


def test_an_interval_at_the_edge_still_has_a_width() -> None:
    none, all_right = pass_at_1(np.zeros((30, 4))), pass_at_1(np.ones((30, 4)))
    assert none.low == 0.0 < none.high < 0.2
    assert 0.8 < all_right.low < all_right.high == 1.0


def test_nothing_decided_or_different_problems_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="not a single sample"):
        pass_at_1(np.full((3, 1), np.nan))
    with pytest.raises(ValueError, match="different problems"):
        paired_difference({"t": np.zeros((3, 1))}, {"t": np.zeros((4, 1))})
    with pytest.raises(ValueError, match="only one of the two"):
        paired_difference({"t": np.zeros((3, 1))}, {"u": np.zeros((3, 1))})
