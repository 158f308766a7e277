"""A suspicion is verified once, against a few earlier checkpoints, within a budget and an error of the run."""

from dataclasses import replace

from cusp.protocol.run import Policy
from cusp.verification.sequential import MOST_LOOKS
from monitor.detector import Transition, Verdict
from monitor.policy import keep_best, verify
from monitor.policy.decide import Saved, decide
from monitor.policy.verify import ALPHA, Look, LookState, PastLook

SAVED = [Saved(f"{step:02}", step, f"checkpoint-{step}", "00") for step in range(10, 90, 10)]
FOUND = Transition(52, 41, 60, safe_step=51, seen_at_step=70, state="provisional")
TURNING = Verdict(70, "turning", 24.0, 21.0, 33.0, (), (), FOUND, "Format fell.")
CONFIRMED = replace(TURNING, phase="past", score=40.0, transition=replace(FOUND, state="confirmed"))


def look(state: LookState, at: int = 70, **given: object) -> PastLook:
    return replace(PastLook(at, 24.0, state, measured=at, completions=256), **given)  # type: ignore[arg-type]


def due(
    verdict: Verdict = TURNING,
    *looks: PastLook,
    saved: list[Saved] = SAVED,
    policy: Policy = Policy(),  # noqa: B008
    now: int | None = None,
) -> Look | None:
    return verify.due(verdict, looks, saved, {}, policy, now=now, attempt="01J")


def steps(found: Look | None) -> list[int]:
    assert found is not None
    return [one.step for one in found.candidates]


def test_a_suspicion_is_compared_with_the_safe_checkpoint_and_two_further_back() -> None:
    assert steps(due()) == [10, 20, 50]


def test_the_peak_of_the_training_accuracy_is_compared_too() -> None:
    accuracy = {step: 0.9 if 30 < step <= 38 else 0.5 for step in range(1, 71)}
    found = verify.due(TURNING, (), SAVED, accuracy, Policy())
    assert 30 in steps(found)


def test_no_look_without_suspicion_checkpoint_or_leave() -> None:
    calm = replace(TURNING, phase="adapted", transition=None)
    assert due(calm) is None
    assert due(saved=[]) is None
    assert due(policy=Policy(verify="off")) is None
    assert due(replace(TURNING, phase="collapsed")) is None


def test_weights_from_before_the_transition_say_nothing() -> None:
    assert due(now=50) is None
    assert steps(due(now=60)) == [10, 20, 50]


def test_while_one_look_is_pending_no_other_is_asked_for() -> None:
    assert due(TURNING, look("pending", measured=None)) is None


def test_an_undecided_look_is_repeated_after_some_steps() -> None:
    assert due(replace(TURNING, step=75), look("undecided")) is None
    assert due(replace(TURNING, step=90), look("undecided")) is not None


def test_a_transition_that_was_confirmed_since_an_undecided_look_is_looked_at_at_once() -> None:
    before = look("undecided", completions=100)
    assert due(replace(CONFIRMED, step=75), before) is not None
    seen = look("undecided", at=75, evidence=40.0, completions=100)
    assert due(replace(CONFIRMED, step=76), before, seen) is None


def test_worse_is_looked_at_once_more_some_steps_later_with_the_same_checkpoints() -> None:
    first = look("worse", known={20: [1.0] * 64, 50: [1.0] * 64})
    assert due(replace(TURNING, step=79), first) is None
    again = due(replace(TURNING, step=80), first)
    assert steps(again) == [20, 50]
    second = look("worse", at=80)
    assert due(replace(TURNING, step=95), first, second) is None, "that is certain"
    assert list(verify.decisive([first, second], TURNING)) == [first, second]
    assert verify.decisive([first], TURNING) == ()
    assert verify.decisive([first, look("not_worse", at=80)], TURNING) == ()


def test_the_second_look_comes_without_a_suspicion_too() -> None:
    calm = replace(TURNING, step=80, phase="adapted", transition=None)
    assert due(calm, look("worse", known={50: [1.0] * 64})) is not None


def test_one_worse_look_is_enough_once_the_signals_confirm() -> None:
    first = look("worse")
    assert list(verify.decisive([first], CONFIRMED)) == [first]


def test_a_run_that_is_never_suspected_is_looked_at_once_at_half() -> None:
    calm = replace(TURNING, step=100, phase="adapted", transition=None)

    def scheduled(step: int, *looks: PastLook) -> Look | None:
        verdict = replace(calm, step=step)
        return verify.due(verdict, looks, SAVED, {}, Policy(), max_steps=200)

    assert scheduled(99) is None
    found = scheduled(100)
    assert found is not None
    assert not found.suspected
    assert (steps(found), found.stages) == ([10], (32, 64)), "against the first checkpoint"
    assert scheduled(150, look("undecided", at=100)) is None
    assert scheduled(150, look("not_worse", at=99)) is not None
    assert scheduled(150, look("not_worse", at=102)) is None, "it was looked at since"
    assert verify.due(replace(calm, step=150), (), SAVED, {}, Policy()) is None


def test_each_undecided_look_in_a_row_is_followed_by_a_longer_wait() -> None:
    looks = (look("undecided"), look("undecided", at=90))
    assert due(replace(TURNING, step=110), *looks) is None
    assert due(replace(TURNING, step=130), *looks) is not None


def test_after_a_refutation_only_a_later_transition_is_looked_at() -> None:
    assert due(replace(TURNING, step=90), look("not_worse")) is None
    later = replace(TURNING, step=90, transition=replace(FOUND, seen_at_step=88))
    assert due(later, look("not_worse")) is not None


def test_what_could_not_be_verified_is_asked_again_of_another_attempt_only() -> None:
    assert due(TURNING, look("unavailable", attempt="01J")) is None
    assert due(TURNING, look("unavailable", attempt="01H")) is not None


def test_known_scores_cost_nothing_and_the_best_of_them_stays_a_candidate() -> None:
    known = {10: [1.0] * 32, 20: [0.0] * 32, 60: [0.0] * 32}
    found = due(replace(TURNING, step=90), look("undecided", known=known, completions=1350))
    assert found
    assert 10 in steps(found)
    assert found.stages == (32, 64)  # of 150 completions that are left; only step 50 is new
    assert found.budget == 150


def test_a_spent_budget_ends_the_looks() -> None:
    assert due(TURNING, look("undecided", at=40, completions=1490)) is None


def test_all_looks_of_a_run_share_one_error_and_there_is_none_after_the_last() -> None:
    looks: list[PastLook] = []
    rich, spent = Policy(verify_budget=9999), 0.0
    for number in range(1, MOST_LOOKS + 1):
        found = due(replace(TURNING, step=1000 * number), *looks, policy=rich)
        assert found is not None
        assert found.number == number
        spent += found.alpha
        looks.append(look("undecided", at=1000 * number, completions=0))
    assert round(spent, 9) == ALPHA
    assert due(replace(TURNING, step=99_000), *looks, policy=rich) is None
    assert verify.holds(CONFIRMED, looks, SAVED, rich), "it was looked at and not found worse"
    later = replace(CONFIRMED, transition=replace(FOUND, state="confirmed", seen_at_step=99_000))
    assert not verify.holds(later, looks, SAVED, rich), (
        "the signals decide on what was never looked at"
    )


def test_a_second_look_after_worse_is_not_counted() -> None:
    first = look("worse", known={50: [1.0] * 64})
    again = due(replace(TURNING, step=80), first)
    assert again is not None
    assert (again.number, again.alpha) == (0, verify.ONCE_MORE_ALPHA)
    second = look("not_worse", at=80, number=0)
    later = replace(TURNING, step=99, transition=replace(FOUND, seen_at_step=95))
    third = due(later, first, second)
    assert third is not None
    assert third.number == 2


def test_a_confirmed_transition_is_held_while_a_look_is_out_or_refuted_it() -> None:
    policy = Policy()
    assert verify.holds(CONFIRMED, [look("pending", measured=None)], SAVED, policy)
    assert verify.holds(CONFIRMED, [look("not_worse")], SAVED, policy)
    assert verify.holds(CONFIRMED, [look("undecided")], SAVED, policy)


def test_signals_alone_decide_where_nothing_can_verify() -> None:
    policy = Policy()
    assert not verify.holds(CONFIRMED, [], SAVED, policy)
    assert not verify.holds(CONFIRMED, [look("unavailable")], SAVED, policy)
    assert not verify.holds(CONFIRMED, [look("pending")], SAVED, Policy(verify="off"))
    later = replace(CONFIRMED, transition=replace(FOUND, state="confirmed", seen_at_step=90))
    assert not verify.holds(later, [look("undecided", completions=1500)], SAVED, policy)
    assert not verify.holds(later, [look("not_worse", completions=1500)], SAVED, policy)
    assert not verify.holds(later, [look("superseded")], SAVED, policy)


def test_the_signals_decide_once_no_look_can_come_any_more() -> None:
    policy = Policy()
    seen = look("undecided", at=60, completions=policy.verify_budget - 40, known={10: [1.0] * 32})
    assert verify.holds(CONFIRMED, [seen], SAVED, policy), (
        "40 completions pay one against known ones"
    )
    gone = SAVED[1:]
    for step in (75, 200, 2000):
        verdict = replace(CONFIRMED, step=step)
        assert due(verdict, seen, saved=gone) is None
        assert not verify.holds(verdict, [seen], gone, policy), "none that is left has known scores"
        early = replace(seen, completions=100)
        assert not verify.holds(verdict, [early], [], policy), "no checkpoint, or nobody who scores"
        assert not verify.holds(verdict, [early], SAVED[-1:], policy, now=80), "the worker's newest"
        assert verify.holds(verdict, [early], gone, policy)


def test_the_signals_decide_nothing_while_held_out_scores_can_be_had() -> None:
    later = replace(
        CONFIRMED, step=500, transition=replace(FOUND, state="confirmed", seen_at_step=495)
    )
    for state in ("undecided", "not_worse"):
        assert verify.holds(later, [look(state, measured=70)], SAVED, Policy())
    own = look("not_worse", measured=70, sure=True)
    assert not verify.holds(later, [own], SAVED, Policy()), (
        "the training's own evaluations may be far off"
    )


def test_a_look_without_a_suspicion_refutes_none_that_came_before_its_answer() -> None:
    asked = look("not_worse", at=60, measured=72, suspected=False, completions=1490)
    seen = replace(TURNING, transition=replace(FOUND, seen_at_step=66))
    assert not verify.holds(replace(seen, phase="past"), [asked], SAVED, Policy())
    paid = replace(asked, completions=0)
    assert due(seen, paid) is not None
    assert due(seen, replace(paid, suspected=True)) is None


def test_a_persons_look_costs_the_policy_nothing() -> None:
    assert due(TURNING, look("undecided", at=40, completions=1490, by_person=True)) is not None


def test_what_a_look_cannot_pay_for_is_left_out_of_it() -> None:
    found = due(
        replace(TURNING, step=90), look("undecided", known={10: [1.0] * 32}, completions=1460)
    )
    assert found is not None
    assert (steps(found), found.stages) == ([10], (32,))


def test_a_checkpoint_without_scores_is_not_the_best() -> None:
    mixed = look("undecided", known={20: [1.0] * 32, 40: [None] * 32, 50: [0.5]})
    assert keep_best.best_scored([mixed], SAVED) == SAVED[1]


def test_a_collapse_is_never_held() -> None:
    collapsed = replace(CONFIRMED, phase="collapsed")
    assert not verify.holds(collapsed, [look("pending")], SAVED, Policy())


def test_a_checkpoint_that_fell_out_of_a_look_does_not_shorten_the_comparison_of_the_others() -> (
    None
):
    known = {
        10: [0.0] * 32,
        20: [1.0] * 16 + [0.0] * 112,
        30: [1.0] * 15 + [0.0] * 17 + [1.0] * 96,
    }
    looks = [look("undecided", known=known)]
    assert keep_best.best_scored(looks, SAVED) == SAVED[2], "on 128 problems, not the first 32"
    kept = keep_best.keeping_best(decide(CONFIRMED, SAVED, Policy(), "01J"), looks, SAVED)
    assert "on 128 held-out problems (step 20: 0.12, step 30: 0.87)" in kept[0].reason
    assert 30 in steps(due(replace(TURNING, step=90), *looks)), "and it stays a candidate"


def test_a_look_with_fewer_problems_does_not_take_known_scores_away() -> None:
    long, short = [1.0] * 128, [0.0] * 32
    first, second = look("undecided", known={30: long}), look("undecided", 90, known={30: short})
    assert verify.scored([first, second]) == verify.scored([second, first]) == {30: long}
    again = look("undecided", 95, known={30: [0.5] * 128})
    assert verify.scored([first, again]) == {30: [0.5] * 128}, "the newest of as many"
    left_behind = replace(first, state="superseded")
    assert verify.scored([left_behind, second]) == {30: short}, "the step may be saved anew"
    assert verify.scored([left_behind]) == {30: long}


def test_signals_keep_the_best_scored_checkpoint_of_all_looks() -> None:
    first = look("undecided", known={20: [1.0] * 40 + [0.0] * 24, 50: [0.0] * 64})
    second = look("undecided", at=90, known={40: [1.0] * 32})
    found = decide(CONFIRMED, SAVED, Policy(), "01J")
    kept = keep_best.keeping_best(found, [first, second], SAVED)
    assert [(one.kind, one.checkpoint and one.checkpoint.step) for one in kept] == [
        ("keep", 40),
        ("stop", 40),
    ]
    assert "scored best of the earlier checkpoints on 32 held-out problems" in kept[0].reason
    left_behind = replace(second, state="superseded")
    again = keep_best.keeping_best(found, [first, left_behind], SAVED)
    assert again[0].checkpoint == SAVED[1]
    assert keep_best.keeping_best(found, [], SAVED) == found


def test_a_suspicion_stands_from_turning_until_it_is_refuted() -> None:
    """The trainer saves more often meanwhile, and keeps all from the last safe checkpoint on."""
    assert verify.suspected_since(TURNING) == verify.suspected_since(CONFIRMED) == 51
    refuted = replace(TURNING, transition=replace(FOUND, state="refuted"))
    calm = replace(TURNING, phase="adapted")
    for none in (None, refuted, calm, replace(TURNING, transition=None)):
        assert verify.suspected_since(none) is None
