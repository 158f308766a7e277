"""The oracle knows the exact moments of a step, and no shape of change before it happens."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.detector.cases import Case, Outcome
from benchmarks.detector.grpo_simulation import batch, make, oracle
from benchmarks.detector.grpo_simulation.setting import visits
from benchmarks.detector.simulated import rows, tables


@pytest.mark.parametrize(
    "name",
    ["steady", "tina_450", "cap_450", "silent_450", "variance_strong_450", "drop_medium_450"],
)
def test_the_moments_are_those_of_the_batches(name: str) -> None:
    """Whitened residuals have mean 0 and variance 1 where a metric varies, in every kind of run."""
    run = make(name, 2)
    values = oracle._observed(run, 1)
    mean, covariance = oracle._averaged(run, 1, changed=True)
    z = (values - mean) / np.sqrt(np.einsum("tii->ti", covariance))
    steps = len(z)
    # batches of small sets without replacement vary a little less than independent ones
    assert np.abs(z.mean(0)).max() < 5 / np.sqrt(steps) + 0.05
    assert (z.std(0) < 1.1).all()
    assert z[:, [1, 2, 4]].std(0).min() > 0.85
    both = np.corrcoef(z[:, 0], z[:, 3])[0, 1]
    expected = (covariance[:, 0, 3] / np.sqrt(covariance[:, 0, 0] * covariance[:, 3, 3])).mean()
    assert both == pytest.approx(expected, abs=0.12)


def test_a_stronger_change_is_seen_sooner_and_at_most_a_tenth_of_the_run_late() -> None:
    delays = [
        np.median([oracle.delay(make(f"drop_{size}_450", seed)) for seed in range(8)])
        for size in ("mild", "medium", "strong")
    ]
    assert delays[0] > delays[1] > delays[2] >= 1
    assert delays[0] < 55


def test_logging_every_tenth_step_makes_nobody_quicker_than_the_log() -> None:
    run = make("ramp_medium_450", 3)
    assert oracle.delay(run, 10) % 10 == 0
    assert oracle.delay(run, 10) >= oracle.delay(run) - 10


def test_without_the_change_the_oracle_is_quiet() -> None:
    alarms, steps = 0, 0
    for seed in range(30):
        run = make("drop_medium_450", seed)
        rng = np.random.default_rng(seed)
        which = visits(rng, run.setting.problems, run.kind.steps, run.setting.prompts)
        calm = batch.logged(rng, run.setting, run.problems, which, run.calm)
        scores = oracle.statistic(replace(run, steps=calm), 1, 350)
        alarms, steps = alarms + int(scores.max() >= oracle.LEVEL), steps + len(scores)
    assert steps == 30 * 650
    assert alarms <= 2, "once in 200,000 steps at most, as far as batch means are Gaussian"


def test_a_healthy_run_has_no_oracle() -> None:
    with pytest.raises(ValueError, match="steady has no transition"):
        oracle.delay(make("steady", 0))


# ------------------------------------------------------------------- the table's arithmetic


def stops_at(step: int) -> rows.Judge:
    """Return a judge that suspects 5 steps before it stops, at a fixed step."""

    def judge(case: Case) -> Outcome:
        seen = sum(at <= step for at, _ in case.points)
        return Outcome(step, step, step, step, step, step - 5, seen, 0.0, (step - 5,))

    return judge


def test_a_stop_before_the_truth_is_a_false_one_and_no_detection() -> None:
    row = rows.judged(("drop_strong_450", 1, 1), stops_at(300))
    n = tables.numbers([row])
    assert (row.early, row.suspected, n.stops, n.stopped, n.suspected) == (True, None, 1, 0.0, 0.0)
    assert n.rate == pytest.approx(1000 / 300)


def test_a_stop_after_the_truth_is_counted_from_it_and_only_the_steps_before_are_healthy_ones() -> (
    None
):
    row = rows.judged(("drop_strong_450", 1, 1), stops_at(470))
    assert (row.suspected, row.delay, row.stop_delay, row.early) == (465, 15, 20, False)
    assert tables.numbers([row]).stops == 0
    assert tables._healthy_steps(row) == 430


def test_a_suspicion_shortly_before_the_truth_has_no_negative_delay() -> None:
    row = rows.judged(("drop_strong_450", 1, 1), stops_at(445))
    assert (row.suspected, row.delay) == (440, 0)


def test_the_interval_of_a_rate_is_the_exact_one_of_a_poisson_count() -> None:
    assert tables.interval(0, 1.0) == pytest.approx((0, 3.689), abs=1e-3)
    assert tables.interval(10, 1.0) == pytest.approx((4.795, 18.390), abs=1e-3)


def test_before_and_now_stand_in_one_cell() -> None:
    kinds = ["drop_strong_450"]
    now, before = ([rows.judged((k, 1, 1), stops_at(at)) for k in kinds] for at in (470, 480))
    table = tables.tables(now, before)
    assert "25 -> 15" in table
    assert "30 -> 20" in table
