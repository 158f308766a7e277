from types import SimpleNamespace
from typing import Any

import pytest

from monitor.runs.sample_choice import EACH_SIDE, Asked, reward_names, sides, transition_step


def row(step: int, **rewards: float) -> Any:
    return SimpleNamespace(step=step, rewards=rewards)


ROWS = [row(step, format=step / 100) for step in range(100)]


def test_the_samples_nearest_to_the_transition_come_first_on_either_side() -> None:
    before, after = sides(ROWS, Asked(), 40, 0)
    assert [each.step for each in before.rows] == list(range(39, 39 - EACH_SIDE, -1))
    assert [each.step for each in after.rows] == list(range(40, 40 + EACH_SIDE))
    assert (before.total, after.total) == (40, 60)


def test_pages_lead_through_all_of_them_without_a_gap_or_a_repeat() -> None:
    seen = [
        each.step
        for page in range(20)
        for side in sides(ROWS, Asked(), 40, page)
        for each in side.rows
    ]
    assert sorted(seen) == list(range(100))


def test_without_a_transition_the_newest_come_first() -> None:
    all_of, none = sides(ROWS, Asked(), None, 0)
    assert all_of.rows[0].step == 99
    assert (all_of.total, none.total) == (100, 0)


def test_a_filter_by_step_and_by_a_reward_is_inclusive() -> None:
    asked = Asked(first=10, last=60, reward="format", least=0.2, most=0.3)
    before, after = sides(ROWS, asked, 25, 0)
    assert sorted(each.step for each in [*before.rows, *after.rows]) == list(range(20, 31))


def test_a_sample_without_the_reward_is_none_of_those_asked_for() -> None:
    assert not Asked(reward="accuracy").takes(row(1, format=1.0))
    assert Asked(least=0.5).takes(row(1))  # limits of no reward limit nothing


def test_the_rewards_are_those_of_any_sample() -> None:
    assert reward_names([row(1, b=1.0), row(2, a=0.0)]) == ["a", "b"]


@pytest.mark.parametrize(
    ("verdict", "step"),
    [
        (None, None),
        ({"transition": None}, None),
        ({"transition": {"step": 7, "state": "confirmed"}}, 7),
        ({"transition": {"step": 7, "state": "dismissed"}}, None),
    ],
)
def test_a_dismissed_transition_divides_nothing(verdict: Any, step: int | None) -> None:
    assert transition_step(verdict) == step
