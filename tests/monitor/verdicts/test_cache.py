"""The cached fold gives the verdicts of the whole fold, and notices when its past changed."""

import random

from cusp.protocol.run import Policy, RewardSpec, RunMetadata
from monitor.roles.role_series import shape_of
from monitor.verdicts.cache import DetectorCache, DetectorState, fold, fresh


def series(count: int) -> dict[int, dict[str, float]]:
    rng = random.Random(3)
    return {
        step: {"format_reward": rng.random(), "completion_length": 50 + rng.random()}
        for step in range(1, count)
    }


def test_folding_in_parts_equals_folding_at_once() -> None:
    whole = list(fold(fresh(RunMetadata(), Policy(), 0), series(90), [], {1: 99}))
    state, parts = fresh(RunMetadata(), Policy(), 0), []
    for end in (1, 20, 21, 60, 90):
        parts += list(fold(state, series(end), [], {1: 99}))
    assert parts == whole


def test_the_cache_is_only_good_for_an_unchanged_past() -> None:
    folds = DetectorCache()
    state = fresh(RunMetadata(), Policy(), 4)
    list(fold(state, series(50), [], {1: 2**62}))

    def taken(
        number: int, cuts: dict[int, int], boundaries: list[int], changed_from: int
    ) -> DetectorState | None:
        folds.put("r", state)
        return folds.take("r", number, cuts, boundaries, changed_from)

    assert taken(4, {1: 2**62}, [], 50) is state
    assert taken(4, {1: 2**62}, [], 49) is None, "a late point"
    assert taken(5, {1: 2**62}, [], 50) is None, "another process changed the past"
    assert taken(4, {1: 30, 2: 2**62}, [], 50) is None, "a resumed attempt"
    assert taken(4, {1: 50, 2: 2**62}, [], 50) is state, "resumed right after the end"
    assert taken(4, {1: 49, 2: 2**62}, [], 50) is None, "resumed at the last folded step"
    assert taken(4, {1: 2**62}, [20], 50) is None, "a late boundary"
    assert taken(4, {1: 2**62}, [60], 50) is state, "a boundary to come"


def test_a_refutation_counts_from_the_step_after_the_weights_that_were_scored() -> None:
    folds, points = DetectorCache(), series(50)
    state = fresh(RunMetadata(), Policy(), 4)
    list(fold(state, points, [], {1: 2**62}))

    def taken(*refuted: int) -> DetectorState | None:
        folds.put("r", state)
        return folds.take("r", 4, {1: 2**62}, [], 50, refuted)

    assert taken(49) is state, "it comes before the next step"
    assert taken(48) is None, "the last step is to be judged anew"
    whole = fresh(RunMetadata(), Policy(), 0)
    list(fold(whole, series(90), [45], {1: 99}, [48, 60]))
    parts = fresh(RunMetadata(), Policy(), 0)
    for end in (20, 49, 50, 61, 90):
        list(fold(parts, series(end), [45], {1: 99}, [48, 60]))
    assert parts.verdict == whole.verdict
    assert parts.refuted == whole.refuted == (48, 60)


def test_a_state_that_was_taken_out_is_gone_until_it_is_put_back() -> None:
    folds = DetectorCache()
    folds.put("r", fresh(RunMetadata(), Policy(), 4))
    assert folds.take("r", 4, {}, [], 1) is not None
    assert folds.take("r", 4, {}, [], 1) is None


def test_the_last_step_can_be_folded_again_without_the_steps_before_it() -> None:
    folds, points = DetectorCache(), series(50)
    state = fresh(RunMetadata(), Policy(), 4)
    state.keeps_last = True
    list(fold(state, points, [49], {1: 2**62}))
    folds.put("r", state)
    points[49]["entropy"] = 0.5
    before = folds.take("r", 4, {1: 2**62}, [49], 49)
    assert before is not None
    assert before.last_step == 48
    again = list(fold(before, points, [49], {1: 2**62}))
    assert again == list(fold(fresh(RunMetadata(), Policy(), 0), points, [49], {1: 2**62}))[-1:]


def test_reward_ranges_reach_the_detector_under_canonical_names() -> None:
    specs = {"format_reward": RewardSpec(low=0, high=2), "accuracy": RewardSpec(graded=True)}
    shape = shape_of(RunMetadata(rewards=specs))
    assert shape.rewards["format_reward"].high == 2
    assert shape.rewards["accuracy_reward"].graded
