"""`GET /runs/{id}` names the kept checkpoint: what the trainer's own `run.kept` is."""

from fastapi.testclient import TestClient

from cusp.ids import new_id
from tests.messages import Trainer, checkpoint, point, status, transition


def test_a_run_without_a_transition_or_a_pin_has_kept_nothing(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send(point(1), checkpoint(10))
    assert trainer.get()["kept"] is None


def test_the_checkpoint_before_the_transition_is_kept_from_the_decision_on(api: TestClient) -> None:
    trainer = Trainer(api)
    commands = transition(trainer)
    asked = [step for command in commands for step in command["steps"]]
    run = trainer.get()
    assert run["kept"]["step"] == asked[-1] == run["checkpoints"]["pre-transition"]["step"]
    assert run["kept"]["path"] == f"checkpoint-{asked[-1]}"
    assert run["kept"]["pinned"] is False, "the trainer has not said so yet"
    kept = run["kept"]["id"]
    trainer.send(checkpoint(asked[-1], kept, state="pinned"))
    assert trainer.get()["kept"] == {**run["kept"], "pinned": True}


def test_what_a_stop_by_a_person_leaves_pinned_is_kept(api: TestClient) -> None:
    trainer, one = Trainer(api), new_id()
    trainer.send(point(1), point(12), checkpoint(10), checkpoint(12, one))
    api.post(f"/api/v1/runs/{trainer.run_id}/stop", json={"reason": "enough"})
    (command,) = trainer.send()["commands"]
    trainer.send(checkpoint(12, one, state="pinned"))
    trainer.ack(command, "done", step=12)
    trainer.send(status("stopped", step=12))
    assert trainer.get()["kept"] == {"id": one, "step": 12, "path": "checkpoint-12", "pinned": True}


def test_a_refused_keep_and_a_missing_checkpoint_are_not_kept(api: TestClient) -> None:
    trainer, one, two = Trainer(api), new_id(), new_id()
    trainer.send(point(1), checkpoint(10, one), checkpoint(20, two))
    for checkpoint_id in (one, two):
        assert api.post(f"/api/v1/checkpoints/{checkpoint_id}/pin").status_code == 202
    first, second = trainer.send()["commands"]
    assert trainer.get()["kept"]["step"] == 20
    trainer.ack(second, "refused", reason="deleted before")
    assert trainer.get()["kept"]["step"] == 10
    trainer.ack(first, "done")
    trainer.send(checkpoint(10, one, state="missing"))
    assert trainer.get()["kept"] is None
