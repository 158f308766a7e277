"""TRL's own `eval_dataset`: a held-out series that never enters the detector, and decides a suspicion."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from cusp.roles.assign import assign
from monitor.policy.by_eval import EvalMean, compared
from tests.messages import Json, Trainer, point
from tests.monitor.actions.verify.test_verification import METADATA, messages_at, verifications

EVAL_KEYS = (
    "eval_loss",
    "eval_reward",
    "eval_reward_std",
    "eval_rewards/accuracy_reward/mean",
    "eval_rewards/format_reward/mean",
    "eval_completions/mean_length",
    "eval_completion_length",
    "eval_entropy",
    "eval_kl",
    "eval_runtime",
)


@pytest.mark.parametrize("trained", [(), ("rewards/accuracy_reward", "entropy")])
def test_no_key_of_an_evaluation_has_a_role(trained: tuple[str, ...]) -> None:
    members = assign([*EVAL_KEYS, *trained]).members
    keys = {member.key for role in members.values() for member in role}
    assert keys.isdisjoint(EVAL_KEYS)


def evaluated(step: int, mean: float, count: int = 400) -> Json:
    rate = {"eval_runtime": 20.0, "eval_samples_per_second": count / 20}
    return point(step, **{"eval_rewards/accuracy_reward/mean": mean}, **rate)


def evals(api: TestClient, now: float, **start: Any) -> Trainer:
    """A run whose accuracy is a reward function, turning at 60, evaluated at 40 and once it is suspected."""
    trainer = Trainer(api, **start)
    for step in range(1, 121):
        (first, *others) = messages_at(step)
        metrics = first["metrics"]
        metrics["rewards/accuracy_reward"] = metrics.pop("accuracy_reward")
        trainer.send(first, *others)
        if step == 40:
            trainer.send(evaluated(step, 0.6))
        if trainer.get()["phase"] in ("turning", "past"):
            trainer.send(evaluated(step, now))
            return trainer
    raise AssertionError("never suspected")


def test_an_evaluation_that_is_worse_stops_a_suspected_run(api: TestClient) -> None:
    trainer = evals(api, 0.4)
    found = verifications(trainer)
    assert [(one["state"], one["by"]) for one in found] == [("worse", "eval")]
    assert found[0]["comparisons"][0]["difference"] == pytest.approx(-0.2)
    run = trainer.get()
    assert run["phase"] == "turning", "before the signals were sure"
    assert {one["kind"] for one in run["decisions"]} == {"keep", "stop"}
    assert run["checkpoints"]["pre-transition"]["step"] == 40


def test_one_that_is_not_worse_refutes_it(api: TestClient) -> None:
    trainer = evals(api, 0.62)
    assert [one["state"] for one in verifications(trainer)] == ["not_worse"]
    assert trainer.get()["decisions"] == []
    trainer.send(*messages_at(trainer.get()["step"] + 1))
    assert trainer.get()["phase"] not in ("turning", "past")


def test_where_the_run_can_be_verified_its_evaluations_decide_nothing(api: TestClient) -> None:
    trainer = evals(api, 0.4, metadata=METADATA)
    assert [one["by"] for one in verifications(trainer)] == ["training"]
    assert trainer.get()["decisions"] == []


def test_few_problems_tell_nothing_apart() -> None:
    before = [EvalMean(40, 0.6, 16)]
    assert compared(EvalMean(80, 0.5, 16), before, 0.01).outcome == "undecided"


def test_perfect_scores_have_an_error_too() -> None:
    assert compared(EvalMean(80, 1.0, 50), [EvalMean(40, 1.0, 50)], 0.01).outcome == "not_worse"
    assert compared(EvalMean(80, 0.0, 50), [EvalMean(40, 1.0, 50)], 0.01).outcome == "worse"
