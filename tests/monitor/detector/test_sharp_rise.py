"""A fall of format is found soon after a rise as steep as real ones, whatever the reward's range."""

import numpy as np
import pytest

from monitor.detector import RunShape
from monitor.detector.signal.history import Array
from monitor.detector.signal.noise import noise_of
from tests.monitor.detector.runs import fold, noisy_factor, noisy_share, ramp, samples, stop_of

AT = 450
SEEDS = range(6)


def sharp(width: float, seed: int) -> dict[str, Array]:
    """Return .10 to .97 at 150 in `width` steps (10-90 %), then 12 points down in 10 steps, length turning up."""
    steps = 560
    rise = 1 / (1 + np.exp(-(np.arange(steps) - 150) * 4.394 / width))
    level = 0.1 + 0.87 * rise - 0.12 * ramp(steps, AT, AT + 10)
    length = 900 - 300 * ramp(steps, 60, 260)
    length = length * (1 + 0.25 * ramp(steps, AT, AT + 100))
    return {
        "format_reward": noisy_share(level, [int(width), seed], 64),  # type: ignore[arg-type]
        "completion_length": noisy_factor(length, seed, 0.1),
    }


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("width", [8, 17, 26, 44])
def test_a_fall_after_a_sharp_rise_is_suspected_within_20_steps_and_confirmed_within_30(
    width: int, seed: int
) -> None:
    verdicts = fold(samples(**sharp(width, seed)), RunShape(completions_per_point=64))
    seen = next(v.step for v in verdicts if v.transition)
    stop = stop_of(verdicts)
    assert AT < seen <= AT + 20
    assert stop is not None
    assert stop.step <= AT + 30


def test_the_noise_of_a_metric_is_that_beside_its_rise() -> None:
    rng = np.random.default_rng(0)
    for width in (8, 17, 26, 44):
        rise = 1 / (1 + np.exp(-(np.arange(512) - 150) * 4.394 / width))
        noise = noise_of(rise + rng.normal(0, 0.06, 512))
        assert noise is not None
        assert noise.point < 0.08
        assert noise.long_run < 0.25  # before: .5


RANGES = {
    "0..0.2": (0.0, 0.2),
    "0..0.5": (0.0, 0.5),
    "0..2": (0.0, 2.0),
    "0..10": (0.0, 10.0),
    "-1..1": (-1.0, 1.0),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_range_that_was_not_told_is_learnt(seed: int) -> None:
    run = sharp(17, seed)
    shape = RunShape(completions_per_point=64)
    plain = stop_of(fold(samples(**run), shape))
    assert plain is not None
    for name, (low, high) in RANGES.items():
        other = {**run, "format_reward": low + (high - low) * run["format_reward"]}
        stop = stop_of(fold(samples(**other), shape))
        assert stop is not None, name
        assert abs(stop.step - plain.step) <= 5, (name, stop.step, plain.step)


@pytest.mark.parametrize("most", [0.2, 0.5, 1.0, 2.0])
def test_a_format_at_its_ceiling_from_the_start_is_judged_whatever_its_most_is(most: float) -> None:
    level = np.full(400, 0.97) - 0.12 * ramp(400, 250, 260)
    run = {
        "format_reward": most * noisy_share(level, 1, 64),
        "completion_length": noisy_factor(
            600 - 100 * ramp(400, 30, 130) + 150 * ramp(400, 250, 350), 2, 0.1
        ),
    }
    stop = stop_of(fold(samples(**run), RunShape(completions_per_point=64)))
    assert stop is not None
    assert 250 < stop.step <= 285


@pytest.mark.parametrize(("seed", "fall"), [(0, 10), (1, 18), (2, 30)])
def test_a_late_collapse_of_a_long_run_is_stopped_soon_and_at_its_own_date(
    seed: int, fall: int
) -> None:
    """A wait that grows with the run would stop it after 80 steps, and may date it after its beginning."""
    at, steps = 1800, 1840
    lost = ramp(steps, at, at + fall)
    rise = 1 / (1 + np.exp(-(np.arange(steps) - 100) / 20))
    curves = {
        "format_reward": noisy_share(0.2 + 0.75 * rise - 0.9 * lost, seed, 32),
        "accuracy_reward": noisy_share(0.6 - 0.55 * lost, seed + 10, 32),
        "completion_length": noisy_factor(np.full(steps, 300.0), seed, 0.05),
    }
    stop = stop_of(fold(samples(**curves), RunShape(completions_per_point=32)))
    assert stop is not None
    assert at < stop.step <= at + 30
    assert stop.transition is not None
    assert stop.transition.safe_step is not None
    assert stop.transition.safe_step <= at
