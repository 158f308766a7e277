"""Checkpoints with different numbers of scored problems are compared on those that say something of each."""

from monitor.policy.known_scores import best, common, enough


def test_the_best_checkpoint_is_that_of_the_greatest_mean_on_common_problems() -> None:
    assert best({10: [1.0, 0.0, 1.0], 20: [1.0, None, 0.0]}) == 10
    assert best({10: [1.0, 0.0], 20: [0.0, 1.0]}) == 20


def test_fewer_problems_count_where_they_are_not_behind() -> None:
    ahead = {10: [1.0] * 32, 20: [0.5] * 128}
    assert best(ahead) == 10
    assert {len(each) for each in common(ahead).values()} == {32}
    assert common({10: [0.0] * 32, 20: [0.5] * 128}) == {20: [0.5] * 128}


def test_one_that_is_behind_another_that_is_behind_is_left_out() -> None:
    short = [0.5] * 32
    middle = [0.6] * 32 + [0.4] * 32
    long = [0.4] * 32 + [0.7] * 96
    assert set(common({10: short, 20: middle, 30: long})) == {30}


def test_too_few_problems_beside_the_others_say_nothing() -> None:
    assert enough({10: [1.0], 20: [0.5] * 32, 30: [None] * 64}) == {20: [0.5] * 32}
    assert enough({10: [1.0] * 8}) == {10: [1.0] * 8}
    assert enough({}) == {}
