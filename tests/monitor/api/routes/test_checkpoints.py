"""Aliases move once, knowingly, and leave a trace."""

import pytest
from fastapi.testclient import TestClient

from cusp.ids import new_id
from tests.messages import Trainer, checkpoint, point


def promote(api: TestClient, checkpoint_id: str, key: str | None = None, **body: object) -> int:
    headers = {"Idempotency-Key": key} if key else {}
    path = f"/api/v1/checkpoints/{checkpoint_id}/promote"
    return api.post(path, json=body, headers=headers).status_code


def test_promotion_moves_the_alias_with_an_audit_row(api: TestClient) -> None:
    trainer, one, two = Trainer(api), new_id(), new_id()
    trainer.send(point(1), checkpoint(10, one), checkpoint(20, two))
    assert promote(api, one) == 200
    assert promote(api, two, expected_current=one) == 200
    aliases = {c["step"]: c["aliases"] for c in trainer.get("/checkpoints")["checkpoints"]}
    assert aliases == {10: [], 20: ["production"]}
    latest = trainer.get("/audit")["audit"][0]
    assert (latest["action"], latest["actor"], latest["detail"]["previous"]) == (
        "promote",
        "person",
        one,
    )


def test_what_is_promoted_while_training_is_pinned(api: TestClient) -> None:
    trainer, one = Trainer(api), new_id()
    trainer.send(checkpoint(10, one))
    assert promote(api, one) == 200
    (command,) = trainer.send()["commands"]
    assert (command["kind"], command["steps"]) == ("keep", [10])


def test_a_race_is_a_conflict_that_names_the_present_holder(api: TestClient) -> None:
    trainer, one, two = Trainer(api), new_id(), new_id()
    trainer.send(checkpoint(10, one), checkpoint(20, two))
    assert promote(api, one, expected_current=None) == 200
    answer = api.post(f"/api/v1/checkpoints/{two}/promote", json={"expected_current": None})
    assert answer.status_code == 409
    assert one in answer.json()["detail"]


def test_a_hundred_repeats_of_one_promotion_are_one(api: TestClient) -> None:
    trainer, one = Trainer(api), new_id()
    trainer.send(checkpoint(10, one))
    assert {promote(api, one, key="same") for _ in range(100)} == {200}
    assert len([a for a in trainer.get("/audit")["audit"] if a["action"] == "promote"]) == 1


def test_a_corrupt_checkpoint_cannot_be_promoted(api: TestClient) -> None:
    trainer, one = Trainer(api), new_id()
    trainer.send(checkpoint(10, one), checkpoint(10, one, state="corrupt"))
    assert promote(api, one) == 409


def test_a_pinned_checkpoint_stays_pinned(api: TestClient) -> None:
    trainer, one = Trainer(api), new_id()
    trainer.send(checkpoint(10, one), checkpoint(10, one, state="pinned"), checkpoint(10, one))
    (found,) = trainer.get("/checkpoints")["checkpoints"]
    assert (found["pinned"], found["state"]) == (True, "pinned")


def test_pinning_by_a_person_is_a_keep_command(api: TestClient) -> None:
    trainer, one = Trainer(api), new_id()
    trainer.send(checkpoint(10, one))
    assert api.post(f"/api/v1/checkpoints/{one}/pin").status_code == 202
    (command,) = trainer.send()["commands"]
    assert (command["kind"], command["steps"]) == ("keep", [10])


@pytest.mark.parametrize("first_heard", ["maker", "successor"])
def test_a_checkpoint_belongs_to_the_attempt_that_made_it_whoever_tells_of_it_first(
    api: TestClient, first_heard: str
) -> None:
    maker, one = Trainer(api), new_id()
    maker.send(point(1))
    successor = Trainer(api, maker.run_id)
    successor.send(point(11))
    for teller in (maker, successor) if first_heard == "maker" else (successor, maker):
        teller.send(checkpoint(10, one))
    (found,) = maker.get("/checkpoints")["checkpoints"]
    assert (found["step"], found["attempt"]) == (10, 1)
