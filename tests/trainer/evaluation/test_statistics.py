"""Intervals cover, false alarms are rare, equal is exactly equal; on simulated checkpoints."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import ttest_rel

from cusp.statistics import (
    Scores,
    detectable_difference,
    holm,
    majority_at_k,
    paired_difference,
    pass_at_1,
    spending,
)
from cusp.statistics.proportion import mid_p


def draw(rng: np.random.Generator, chances: Scores, samples: int) -> Scores:
    return (rng.random((len(chances), samples)) < chances[:, None]).astype(float)


def difficulty(rng: np.random.Generator, mean: float, problems: int) -> Scores:
    """Chances of problems of very different difficulty (Beta with a + b = 1)."""
    return rng.beta(mean, 1 - mean, problems)


@pytest.mark.parametrize(
    ("mean", "problems", "samples"), [(0.3, 40, 1), (0.5, 30, 1), (0.3, 60, 4), (0.85, 300, 2)]
)
def test_the_interval_for_problems_like_these_covers_their_mean_93_to_97_times_of_100(
    mean: float, problems: int, samples: int
) -> None:
    rng, hits = np.random.default_rng(1), 0
    for _ in range(2_000):
        estimate = pass_at_1(draw(rng, difficulty(rng, mean, problems), samples))
        hits += estimate.low <= mean <= estimate.high
    assert 0.93 <= hits / 2_000 <= 0.97


@pytest.mark.parametrize(
    ("mean", "problems", "samples"), [(0.3, 40, 2), (0.3, 60, 4), (0.85, 300, 16)]
)
def test_the_interval_for_this_fixed_set_covers_the_mean_of_its_own_chances_93_to_97_times_of_100(
    mean: float, problems: int, samples: int
) -> None:
    rng, hits = np.random.default_rng(2), 0
    for _ in range(2_000):
        chances = difficulty(rng, mean, problems)
        estimate = pass_at_1(draw(rng, chances, samples))
        hits += estimate.fixed_low <= chances.mean() <= estimate.fixed_high
    assert 0.93 <= hits / 2_000 <= 0.97


def test_more_samples_narrow_the_interval_for_this_fixed_set_only() -> None:
    rng = np.random.default_rng(3)
    chances = difficulty(rng, 0.5, 100)
    few, many = (pass_at_1(draw(rng, chances, samples)) for samples in (2, 64))
    assert many.fixed_high - many.fixed_low < 0.3 * (few.fixed_high - few.fixed_low)
    assert many.high - many.low > 0.7 * (few.high - few.low)  # .81 for ever more samples


def test_one_sample_a_problem_bounds_the_error_of_sampling_and_greedy_decoding_has_none() -> None:
    scores = draw(np.random.default_rng(4), np.full(40, 0.5), 1)
    sampled, greedy = pass_at_1(scores), pass_at_1(scores, greedy=True)
    assert (sampled.fixed_low, sampled.fixed_high) == (sampled.low, sampled.high)
    assert (greedy.fixed_low, greedy.fixed_high) == (greedy.value, greedy.value)
    assert (greedy.low, greedy.high) == (sampled.low, sampled.high)
    assert (sampled.fixed_bound, greedy.fixed_bound) == (True, False)


def test_two_samples_a_problem_make_an_interval_of_the_bound_for_this_fixed_set() -> None:
    rng = np.random.default_rng(7)
    few, two = ({"t": draw(rng, np.full(40, 0.5), k)} for k in (1, 2))
    assert not pass_at_1(two["t"]).fixed_bound
    other = {k: {"t": draw(rng, np.full(40, 0.5), k)} for k in (1, 2)}
    assert paired_difference(few, other[1]).fixed_bound
    assert paired_difference(few, two).fixed_bound  # one of the two has one sample
    assert not paired_difference(few, other[1], greedy=True).fixed_bound
    assert not paired_difference(two, other[2]).fixed_bound
    assert not paired_difference(few, few).fixed_bound  # exactly nothing


def test_chances_replaced_by_their_outcomes_look_the_same_and_have_no_error_of_sampling() -> None:
    """Why one sample a problem makes a bound only: half right is seen in both, and one of the two is certain."""
    rng, hits = np.random.default_rng(8), Counter[str]()
    for _ in range(1_000):
        drawn = (rng.random(60) < 0.5).astype(float)
        one = pass_at_1(draw(rng, drawn, 1))  # chances 0 and 1: the same scores again
        assert one.value == drawn.mean()
        hits["certain"] += one.fixed_low <= drawn.mean() <= one.fixed_high
        hits["alike"] += one.fixed_low <= 0.5 <= one.fixed_high
    assert hits["certain"] == 1_000
    assert 930 <= hits["alike"] <= 975


def test_the_mid_p_interval_is_that_of_the_binomial_for_whole_sizes() -> None:
    """Agresti, Categorical Data Analysis, 1.4.5: 0 of 25 gives (0, 0.113) by the mid-P test."""
    low, high = mid_p(0.0, 25.0)
    assert low == 0.0
    assert high == pytest.approx(0.113, abs=5e-4)


@pytest.mark.parametrize("samples", [1, 2])
def test_two_equal_checkpoints_are_called_worse_at_most_55_times_of_1000(samples: int) -> None:
    rng, covered, fixed = np.random.default_rng(5), 0, 0
    called = Counter[str]()
    for _ in range(1_000):
        first, second = (
            {"sums": draw(rng, chances[0], samples), "words": draw(rng, chances[1], 2 * samples)}
            for chances in [(difficulty(rng, 0.6, 120), difficulty(rng, 0.3, 30))]
            for _ in range(2)
        )
        difference = paired_difference(first, second)
        covered += difference.low <= 0 <= difference.high
        fixed += difference.fixed_low <= 0 <= difference.fixed_high
        called[difference.verdict(difference.p_value)] += 1
    assert 0.93 <= covered / 1_000 <= 0.97
    assert 0.93 <= fixed / 1_000 <= 0.97
    assert max(called["worse"], called["better"]) / 1_000 <= 0.055


def test_identical_scores_differ_by_exactly_nothing() -> None:
    scores = draw(np.random.default_rng(3), np.full(50, 0.4), 3)
    difference = paired_difference({"t": scores}, {"t": scores.copy()})
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)
    assert (difference.fixed_low, difference.fixed_high, difference.p_value) == (0.0, 0.0, 1.0)
    assert difference.verdict(difference.p_value) == "not distinguishable"
    assert not difference.within(0.03)


def test_identical_scores_are_equal_within_3_points_from_122_problems_on() -> None:
    """With no problem of n that differs, a share of at most 1 - .025 ** (1 / n) does (Clopper and Pearson)."""
    for problems, equal in ((10, False), (121, False), (122, True), (300, True)):
        scores = np.ones((problems, 2))
        difference = paired_difference({"t": scores}, {"t": scores.copy()})
        assert difference.within(0.03) is equal
        assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)


def test_samples_of_the_same_seeds_narrow_the_interval_for_this_fixed_set() -> None:
    rng = np.random.default_rng(6)
    noise = rng.random((200, 4))
    chances = np.full((200, 1), 0.5)
    first, alike, apart = (
        (noise < chances).astype(float),
        (noise < chances - 0.1).astype(float),
        (rng.random((200, 4)) < chances - 0.1).astype(float),
    )
    same, other = (paired_difference({"t": first}, {"t": each}) for each in (alike, apart))
    assert same.fixed_high - same.fixed_low < 0.6 * (other.fixed_high - other.fixed_low)


def test_a_drop_as_large_as_the_stated_minimum_is_found_four_times_of_five() -> None:
    rng, found, runs = np.random.default_rng(4), 0, 400
    chances = np.full(300, 0.6)
    mde = detectable_difference(300, 2, pass_at_1=0.6 - 0.04, shared=0.0)
    once = paired_difference({"t": draw(rng, chances, 2)}, {"t": draw(rng, chances, 2)})
    assert once.detectable() == pytest.approx(mde, rel=0.1)
    for _ in range(runs):
        worse, better = draw(rng, chances - mde, 2), draw(rng, chances, 2)
        difference = paired_difference({"t": worse}, {"t": better})
        found += difference.verdict(difference.p_value) == "worse"
    assert 0.72 <= found / runs <= 0.88


def test_one_sample_a_problem_is_compared_by_mcnemars_exact_test() -> None:
    first, second = np.zeros((40, 1)), np.zeros((40, 1))
    first[:9], second[8:10] = 1, 1  # 8 problems right only for the first, 1 only for the second
    found = paired_difference({"t": first}, {"t": second})
    assert found.value == pytest.approx(7 / 40)
    assert found.p_value == pytest.approx(2 * (1 + 9 / 2) / 2**9)  # mid-P: half of what was seen


def test_one_share_a_problem_is_compared_by_its_size_and_not_by_its_sign() -> None:
    """Of harnesses that keep the mean of several samples: 30 tiny gains are no more than 10 great losses."""
    first, second = np.full((40, 1), 0.5), np.full((40, 1), 0.5)
    first[:30], second[30:] = 0.52, 0.9
    found = paired_difference({"t": first}, {"t": second})
    assert found.value == pytest.approx((30 * 0.02 - 10 * 0.4) / 40)
    assert found.p_value == pytest.approx(ttest_rel(first[:, 0], second[:, 0]).pvalue)
    assert found.verdict(found.p_value) == "worse"


def test_few_problems_that_all_differ_one_way_are_no_certainty() -> None:
    found = paired_difference({"t": np.ones((3, 2))}, {"t": np.zeros((3, 2))})
    assert found.p_value == 0.25
    assert found.verdict(found.p_value) == "not distinguishable"


def test_holm_corrects_the_smallest_first_and_weights_share_the_error_out() -> None:
    assert holm([0.03, 0.001, 0.02, 0.5]) == pytest.approx([0.06, 0.004, 0.06, 0.5])
    assert holm([0.02, 0.4], [9, 1]) == pytest.approx([0.02 / 0.9, 0.4])
    assert holm([]) == []


def test_the_stages_spend_the_whole_error_and_most_of_it_at_the_end() -> None:
    first, second = spending(0.05, (0.5, 1.0))
    assert first + second == pytest.approx(0.05)
    assert first < 0.006


def test_a_majority_of_right_answers_is_right_and_a_tie_is_half() -> None:
    found = majority_at_k(
        [
            [("4", 1.0), ("4", 1.0), ("5", 0.0)],
            [("4", 0.0), ("5", 1.0), (None, 0.0)],
            [(None, 0.0), (None, 0.0), (None, 0.0)],
        ]
    )
    assert found.value == 0.5
    assert found.low <= 0.5 <= found.high
    assert found.problems == 3


def test_an_undecided_sample_is_wrong_and_counted() -> None:
    scores = np.array([[1.0, np.nan], [1.0, 0.0], [np.nan, np.nan]])
    estimate = pass_at_1(scores)
    wrong = pass_at_1(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))
    assert estimate.value == wrong.value == 1 / 3
    assert (estimate.low, estimate.fixed_high) == (wrong.low, wrong.fixed_high)
    assert (estimate.problems, estimate.samples, estimate.errors) == (3, 6, 3)
    found = paired_difference({"t": scores}, {"t": np.zeros((3, 2))})
    assert found.value == 1 / 3


def test_undecided_samples_do_not_vote_and_all_right_answers_are_one() -> None:
    found = majority_at_k(
        [
            [("1/2", 1.0), ("0.5", 1.0), ("3", 0.0), ("3", 0.0), ("3", None)],
            [(None, None), ("7", None), (None, 0.0)],
        ]
    )
    assert found.value == 0.25  # a tie is half, and nothing is wrong
    assert found.problems == 2
    with pytest.raises(ValueError, match="not a single sample"):
        majority_at_k([[("4", None)]])


def test_an_interval_at_the_edge_still_has_a_width() -> None:
    none, all_right = pass_at_1(np.zeros((30, 4))), pass_at_1(np.ones((30, 4)))
    assert none.low == 0.0 < none.high < 0.2
    assert none.fixed_low == 0.0 < none.fixed_high < none.high
    assert 0.8 < all_right.low < all_right.high == 1.0


def test_nothing_decided_or_different_problems_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="not a single sample"):
        pass_at_1(np.full((3, 1), np.nan))
    with pytest.raises(ValueError, match="different problems"):
        paired_difference({"t": np.zeros((3, 1))}, {"t": np.zeros((4, 1))})
    with pytest.raises(ValueError, match="only one of the two"):
        paired_difference({"t": np.zeros((3, 1))}, {"u": np.zeros((3, 1))})
