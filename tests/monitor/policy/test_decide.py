"""Deciding: which checkpoint, whether to stop, what to score."""

from dataclasses import replace
from itertools import pairwise

import pytest

from cusp.protocol.run import Policy
from monitor.detector import Transition, Verdict
from monitor.policy.candidates import candidates, reference_step
from monitor.policy.decide import Saved, before, decide, keep_another, reissued

FOUND = Transition(step=55, low=48, high=62, safe_step=54, seen_at_step=80, state="confirmed")
VERDICT = Verdict(
    step=80,
    phase="past",
    score=50.0,
    watch=22.0,
    confirm=36.0,
    evidence=(),
    change_points=(),
    transition=FOUND,
    words="Format fell.",
)


def saved(*steps: int) -> list[Saved]:
    return [Saved(f"{step:026}", step, f"checkpoint-{step}", "0" * 64) for step in steps]


def test_nothing_is_decided_before_the_transition_is_confirmed() -> None:
    for transition in (None, replace(FOUND, state="provisional")):
        verdict = replace(VERDICT, transition=transition)
        assert decide(verdict, saved(10, 50), Policy(), "A") == []


def test_the_last_checkpoint_saved_no_later_than_the_safe_step_is_kept() -> None:
    keep, stop = decide(VERDICT, saved(40, 50, 54, 55, 60), Policy(), "A")
    assert (keep.kind, stop.kind) == ("keep", "stop")
    assert keep.checkpoint is not None
    assert keep.checkpoint.step == 54
    assert "54" in keep.reason
    assert "likely 48-62" in keep.reason


def test_a_transition_before_the_first_checkpoint_stops_without_keeping() -> None:
    assert [d.kind for d in decide(VERDICT, saved(60), Policy(), "A")] == ["stop"]
    assert before(FOUND, saved(60)) is None


@pytest.mark.parametrize(
    ("action", "kinds"), [("watch", ["keep"]), ("propose", ["keep", "propose"])]
)
def test_a_policy_that_does_not_stop_still_keeps(action: str, kinds: list[str]) -> None:
    policy = Policy.model_validate({"action": action})
    assert [d.kind for d in decide(VERDICT, saved(50), policy, "A")] == kinds


def test_the_same_step_seen_by_another_attempt_is_another_finding() -> None:
    one, other = (decide(VERDICT, saved(50), Policy(), attempt) for attempt in ("A", "B"))
    assert {d.finding for d in one}.isdisjoint({d.finding for d in other})


def test_what_lapsed_is_decided_once_more_for_an_attempt_and_the_rest_stays_known() -> None:
    found = decide(VERDICT, saved(50), Policy(), "A")
    known = {(d.finding, d.kind) for d in found}
    for_b = reissued(found, known, {"stop"}, "B")
    assert for_b[0] == found[0]
    assert for_b[1].finding == "stop that lapsed, again for B"
    assert for_b[1].reason.endswith(found[1].reason)
    assert reissued(found, set(), {"stop"}, "B") == found, "it was never asked"
    assert reissued(found, known, set(), "B") == found, "it was done"


def test_another_checkpoint_is_kept_once_for_each_that_turned_out_to_be_gone() -> None:
    found = decide(VERDICT, saved(40, 50), Policy(), "A")
    known = {(d.finding, d.kind) for d in found}
    left = decide(VERDICT, saved(40), Policy(), "A")
    keep, stop = keep_another(left, known, {50})
    assert (keep.checkpoint, stop) == (left[0].checkpoint, left[1])
    assert (keep.finding, keep.kind) not in known
    assert "step 50 could not be kept" in keep.reason
    assert keep_another(left, known | {(keep.finding, "keep")}, {50})[0] == keep
    assert keep_another(found, known, {50}) == found, "it is there, and could not be kept"
    assert keep_another(left, set(), {50}) == left, "nothing was asked yet"
    assert keep_another(left, known, set()) == left


def test_candidates_are_the_kept_one_its_neighbours_a_ladder_the_last_and_the_base() -> None:
    found = candidates(FOUND, saved(*range(10, 90, 10)), {})
    roles = {one.step: one.roles for one in found}
    assert roles[0] == ("base",)
    assert "pre-transition" in roles[50]
    assert "before" in roles[40]
    assert "after" in roles[60]
    assert "last" in roles[80]
    assert {10, 20, 30} <= set(roles)
    assert reference_step(found) == 50


def test_a_checkpoint_that_held_out_scores_chose_is_the_one_to_compare_with() -> None:
    found = candidates(FOUND, saved(*range(10, 90, 10)), {}, kept=30)
    assert reference_step(found) == 30
    assert [one.step for one in found if "before" in one.roles] == [20]


def test_there_are_at_most_eight_candidates_and_they_stand_closer_early() -> None:
    steps = range(10, 1010, 10)
    for transition in (None, FOUND):
        found = [one.step for one in candidates(transition, saved(*steps), {})]
        assert len(found) == 8
        assert found[0] == 0
        assert found[-1] == 1000
    alone = [one.step for one in candidates(None, saved(*steps), {})]
    gaps = [after - before for before, after in pairwise(alone)]
    assert sum(gaps[:3]) < sum(gaps[-3:])


def test_the_accuracy_peak_is_the_checkpoint_that_the_best_steps_were_sampled_from() -> None:
    accuracy = {step: (0.9 if 31 <= step <= 38 else 0.2) for step in range(1, 80)}
    found = candidates(None, saved(10, 20, 30, 40, 50, 60, 70), accuracy)
    assert next(one.step for one in found if "accuracy peak" in one.roles) == 30
    assert reference_step(found) == 70


def test_all_means_all_and_a_resumed_step_counts_once() -> None:
    twice = [*saved(10, 20, 30), Saved("new", 20, "checkpoint-20", "1" * 64)]
    found = candidates(None, twice, {}, "all")
    assert [one.step for one in found] == [0, 10, 20, 30]
    assert found[2].checkpoint is not None
    assert found[2].checkpoint.id == "new"


def test_a_run_without_checkpoints_leaves_only_the_base() -> None:
    assert [one.step for one in candidates(None, [], {})] == [0]
