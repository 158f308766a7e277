"""Which weights are scored on which problems: stage by stage, never more than the budget, nothing twice."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from cusp.protocol.messages import VerifyOrder
from cusp.trl.verifying.held_out import CannotVerify, Earlier, Score, Scored
from cusp.trl.verifying.rounds import Known, Round, rounds
from cusp.trl.verifying.together import score

TWO = [Earlier(40, Path("40"), "a"), Earlier(60, Path("60"), "b")]


class Problems:
    """200 problems; `right` says of which weights (None: now) a problem is solved."""

    problems = 200

    def __init__(self, right: Callable[[Path | None, int], bool]) -> None:
        self._right = right
        self.asked: list[tuple[str, int, int]] = []

    def scores(self, checkpoint: Path | None, places: range) -> list[Score]:
        name = "now" if checkpoint is None else checkpoint.name
        self.asked.append((name, places.start, places.stop))
        return [float(self._right(checkpoint, place)) for place in places]

    def close(self) -> None:
        """Nothing to end."""


def run(
    problems: Problems, order: VerifyOrder, known: Known | None = None, earlier: object = TWO
) -> Scored:
    plan = rounds(87, TWO, order, problems.problems, {} if known is None else known)
    found = score(problems, plan, bool)
    assert found is not None
    return found


def order(**more: object) -> VerifyOrder:
    return VerifyOrder.model_validate({"stages": [32, 64, 128], "alpha": 0.01, **more})


def test_a_clear_loss_is_decided_in_the_first_stage() -> None:
    problems = Problems(lambda weights, place: weights is not None)
    found = run(problems, order())
    assert problems.asked == [("now", 0, 32), ("40", 0, 32), ("60", 0, 32)]
    assert {step: len(scores) for step, scores in found.scores.items()} == {40: 32, 60: 32, 87: 32}
    assert found.completions == 96


def test_what_is_open_goes_through_all_stages_and_known_scores_are_not_asked_for() -> None:
    problems = Problems(
        lambda weights, place: place % 2 == 0 or (weights is None) is (place % 4 > 1)
    )
    known: Known = {"a": [1.0] * 64}
    found = run(problems, order(alpha=1e-12), known)
    assert ("40", 0, 32) not in problems.asked
    assert ("40", 64, 128) in problems.asked
    assert [one for one in problems.asked if one[0] == "now"] == [
        ("now", 0, 32), ("now", 32, 64), ("now", 64, 128),
    ]  # fmt: skip
    assert found.completions == 128 + 64 + 128
    assert len(found.scores[40]) == len(known["b"]) == 128
    again = Problems(lambda weights, place: True)
    run(again, order(alpha=1e-12), known)
    assert {name for name, *_ in again.asked} == {"now"}


def test_the_budget_ends_it_with_what_is_scored() -> None:
    problems = Problems(lambda weights, place: place % (4 if weights is None else 2) == 0)
    found = run(problems, order(budget=200, alpha=1e-12))
    assert found.completions == 192
    assert len(found.scores[87]) == 64


def test_it_ends_where_more_problems_would_hardly_find_a_loss() -> None:
    gained = Problems(lambda weights, place: weights is None or place % 3 == 0)
    assert run(gained, order(alpha=1e-12)).completions == 96
    equal = Problems(lambda weights, place: place % 3 == 0)
    assert run(equal, order(alpha=1e-12)).completions == 2 * 96


def test_a_checkpoint_that_is_worse_than_now_is_scored_no_further() -> None:
    def right(weights: Path | None, place: int) -> bool:
        return place % {None: 4, Path("40"): 2, Path("60"): 8}[weights] == 0

    problems = Problems(right)
    found = run(problems, order(alpha=1e-12))
    assert [one for one in problems.asked if one[0] == "60"] == [("60", 0, 32)]
    assert {step: len(scores) for step, scores in found.scores.items()} == {
        40: 128,
        60: 32,
        87: 128,
    }
    assert found.completions == 128 + 128 + 32


def test_a_budget_without_room_for_the_first_stage_is_a_sentence() -> None:
    problems = Problems(lambda weights, place: True)
    with pytest.raises(CannotVerify, match="a budget of 95 completions has no room for 96"):
        run(problems, order(budget=95))
    assert problems.asked == []


def test_it_ends_where_the_training_is_asked_to_end() -> None:
    problems = Problems(lambda weights, place: place % 2 == 0)
    plan = rounds(87, TWO, order(alpha=1e-12), problems.problems, {})
    with pytest.raises(CannotVerify, match="asked to end meanwhile"):
        score(problems, plan, lambda: len(problems.asked) == 2)
    assert len(problems.asked) == 2


def test_a_fault_in_the_plan_or_in_the_scoring_is_a_sentence_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Problems):
        def scores(self, checkpoint: Path | None, places: range) -> list[Score]:
            return [0.5] * (len(places) - (checkpoint is not None))

    known: Known = {}
    broken = Broken(lambda weights, place: True)
    plan = rounds(87, TWO, order(), broken.problems, known)
    with caplog.at_level(logging.ERROR, "cusp"), pytest.raises(CannotVerify, match="ValueError"):
        score(broken, plan, bool)
    assert "Traceback" in caplog.text
    assert known == {"a": []}, "no scores of the wrong number are remembered"
    with pytest.raises(CannotVerify, match="no held-out problems"):
        score(None, rounds(87, TWO, order(), 8, {}), bool)


def test_a_round_says_where_it_lies() -> None:
    plan = rounds(87, TWO, order(stages=[4, 8]), 6, {})
    assert next(plan) == Round(None, 0, 4)
    assert plan.send([1.0] * 4) == Round(Path("40"), 0, 4)
