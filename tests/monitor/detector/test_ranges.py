"""A range that was not told is learnt late, and nothing that came before it speaks on another scale."""

import numpy as np
import pytest

from monitor.detector import Detector, RewardRange, RunShape, Sample, Verdict


def followed(most: float, *, told: bool, seed: int, fall: float = 0.0) -> list[Verdict]:
    """Return the verdicts on a format that is learnt slowly, pays `most` of it, and may fall at step 300."""
    rng = np.random.default_rng(seed)
    rewards = {"format_reward": RewardRange(0.0, most)} if told else {}
    detector = Detector(RunShape(completions_per_point=32, rewards=rewards))
    verdicts = []
    for step in range(1, 420):
        share = 0.2 + 0.73 / (1 + np.exp(-(step - 120) / 30)) - (fall if step > 300 else 0.0)
        metrics = {
            "format_reward": most * rng.binomial(32, share) / 32,
            "completion_length": 300 * np.exp(0.05 * rng.standard_normal()),
        }
        verdicts.append(detector.update(Sample(step, metrics)))
    return verdicts


@pytest.mark.parametrize("seed", [1, 3])
def test_a_ceiling_that_is_learnt_late_does_not_make_format_shake(seed: int) -> None:
    """With the shaking of before measured on [0, 1], five times less, these two were stopped."""
    assert {one.phase for one in followed(0.2, told=False, seed=seed)} <= {
        "warming_up", "adapting", "adapted", "turning",
    }  # fmt: skip


@pytest.mark.parametrize("most", [0.2, 0.5])
def test_a_fall_is_found_as_soon_as_where_the_range_was_told(most: float) -> None:
    first = [
        next(v.step for v in followed(most, told=told, seed=9, fall=0.3) if v.phase == "past")
        for told in (False, True)
    ]
    assert abs(first[0] - first[1]) <= 3
