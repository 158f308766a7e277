"""The cached fold gives the verdicts of the whole fold, and notices when its past changed."""

import random

from cusp.wire import Policy, RewardSpec, RunMetadata
from monitor.fold import Folds, fold, fresh, shape_of


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
    folds = Folds()
    state = fresh(RunMetadata(), Policy(), 4)
    list(fold(state, series(50), [], {1: 2**62}))
    folds.put("r", state)
    assert folds.get("r", 4, {1: 2**62}, [], 50) is state
    assert folds.get("r", 4, {1: 2**62}, [], 49) is None, "a late point"
    assert folds.get("r", 5, {1: 2**62}, [], 50) is None, "another process folded"
    assert folds.get("r", 4, {1: 30, 2: 2**62}, [], 50) is None, "a resumed attempt"
    assert folds.get("r", 4, {1: 50, 2: 2**62}, [], 50) is state, "resumed right after the end"
    assert folds.get("r", 4, {1: 49, 2: 2**62}, [], 50) is None, "resumed at the last folded step"
    assert folds.get("r", 4, {1: 2**62}, [20], 50) is None, "a late boundary"
    assert folds.get("r", 4, {1: 2**62}, [60], 50) is state, "a boundary to come"


def test_reward_ranges_reach_the_detector_under_canonical_names() -> None:
    specs = {"format_reward": RewardSpec(low=0, high=2), "accuracy": RewardSpec(graded=True)}
    shape = shape_of(RunMetadata(rewards=specs))
    assert shape.rewards["format_reward"].high == 2
    assert shape.rewards["accuracy_reward"].graded
