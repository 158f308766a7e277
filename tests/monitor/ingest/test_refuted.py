"""A refutation is part of the fold: however the messages travel, and from stored data alone, verdicts are the same."""

import random

import pytest
from fastapi.testclient import TestClient

from monitor.verdicts.cache import DetectorCache
from tests.messages import Json, Trainer, point
from tests.monitor.actions.verify.test_verification import (
    METADATA,
    RIGHT,
    WRONG,
    messages_at,
    scores,
    suspected,
)

LAST = 130


def told(trainer: Trainer) -> Json:
    """Return all that follows from a run's messages, without ids and times."""
    run, found = trainer.get(), trainer.get("/verifications")["verifications"]
    decisions = [(one["kind"], one["step"], one["checkpoint_step"]) for one in run["decisions"]]
    points = [{**one, "id": ""} for one in run["change_points"]]
    looks = [(one["step"], one["state"], one["candidates"], one["alpha"]) for one in found]
    return {
        "verdicts": trainer.get("/verdicts"),
        "change_points": points,
        "decisions": decisions,
        "looks": looks,
    }


def rest(step: int) -> list[Json]:
    return [message for at in range(step + 1, LAST + 1) for message in messages_at(at)]


def plainly(api: TestClient) -> Trainer:
    trainer = Trainer(api, metadata=METADATA)
    command = suspected(trainer)
    trainer.send(scores(command, RIGHT, WRONG))
    for message in rest(command["step"]):
        trainer.send(message)
    return trainer


@pytest.mark.parametrize("seed", [1, 2])
def test_however_the_messages_are_put_together_the_outcome_is_the_same(
    api: TestClient, seed: int
) -> None:
    rng, plain, other = random.Random(seed), plainly(api), Trainer(api, metadata=METADATA)
    command = suspected(other)
    messages = [scores(command, RIGHT, WRONG), *rest(command["step"])]
    start = other.seq
    while messages:
        count = rng.randint(1, 40)
        other.send(*messages[:count])
        if rng.random() < 0.5:  # the answer was lost: sent once more
            other.send(*messages[:count], first_seq=start)
        if rng.random() < 0.3:  # another process goes on
            api.app.state.service.ingest.folds = DetectorCache()  # type: ignore[attr-defined]
        messages, start = messages[count:], other.seq
    assert told(other) == told(plain)
    assert len(told(plain)["looks"]) == 2


def test_folding_the_stored_data_anew_gives_the_same_verdicts(api: TestClient) -> None:
    trainer = plainly(api)
    before = told(trainer)
    api.app.state.service.ingest.folds = DetectorCache()  # type: ignore[attr-defined]
    trainer.send(point(1, kl=0.1, **messages_at(1)[0]["metrics"]))  # the first step once more
    assert told(trainer)["verdicts"] == before["verdicts"]
    assert told(trainer)["change_points"] == before["change_points"]


def test_scores_that_come_late_judge_the_steps_since_anew(api: TestClient) -> None:
    trainer, late = plainly(api), Trainer(api, metadata=METADATA)
    command = suspected(late)
    for message in rest(command["step"])[:10]:
        late.send(message)
    late.send(scores(command, RIGHT, WRONG))
    for message in rest(command["step"])[10:]:
        late.send(message)
    assert told(late)["verdicts"] == told(trainer)["verdicts"]
