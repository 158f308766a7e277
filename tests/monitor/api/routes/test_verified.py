"""What is promoted is verified by the box that holds it, or said not to be."""

from typing import Any

from fastapi.testclient import TestClient

from cusp.ids import new_id
from tests.conftest import Clock
from tests.messages import Trainer, checkpoint, point, status

Json = dict[str, Any]


def promoted(api: TestClient, one: str) -> Json:
    answer = api.post(f"/api/v1/checkpoints/{one}/promote", json={})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def check(api: TestClient, one: str, state: str, step: int = 10, **more: str) -> Any:
    body = {"state": state, "sha256": f"{step:064x}", **more}
    return api.post(f"/api/v1/checkpoints/{one}/check", json=body)


def shown(trainer: Trainer) -> Json:
    (found,) = trainer.get("/checkpoints")["checkpoints"]
    return dict(found)


def unverified(api: TestClient) -> list[str]:
    return [one["id"] for one in api.get("/api/v1/checkpoints/unverified").json()["checkpoints"]]


def test_a_checkpoint_hashed_just_now_is_verified(api: TestClient) -> None:
    trainer, one = Trainer(api), new_id()
    trainer.send(point(10), checkpoint(10, one))
    assert promoted(api, one)["verified"] is True
    assert unverified(api) == [one], "it has no place of its own yet"
    trainer.send(checkpoint(10, one, state="pinned"))
    assert unverified(api) == []


def test_a_live_trainer_is_asked_and_answers_also_for_what_is_pinned(
    api: TestClient, clock: Clock
) -> None:
    trainer, one = Trainer(api), new_id()
    trainer.send(point(10), checkpoint(10, one, state="pinned"))
    clock.now += 3600
    assert promoted(api, one)["verified"] is False
    assert shown(trainer)["verified"] is False
    assert "not verified</span>" in api.get(f"/runs/{trainer.run_id}").text
    (command,) = trainer.send()["commands"]
    assert (command["kind"], command["steps"]) == ("keep", [10])
    clock.now += 2
    trainer.send(checkpoint(10, one, state="pinned"))
    assert shown(trainer)["verified"] is True
    assert "not verified</span>" not in api.get(f"/runs/{trainer.run_id}").text
    clock.now += 10 * 86_400
    assert shown(trainer)["verified"] is True, "it stays what was hashed after the alias was moved"


def test_of_a_run_that_is_over_a_worker_on_the_box_answers(api: TestClient, clock: Clock) -> None:
    trainer, one = Trainer(api, policy={"evaluate": "none"}), new_id()
    trainer.send(point(10), checkpoint(10, one), status("finished"))
    clock.now += 3600
    assert promoted(api, one)["verified"] is False
    assert unverified(api) == [one]
    kept = f"pinned/{trainer.run_id}/checkpoint-10-{0:016x}"
    answer = check(api, one, "pinned", path=kept)
    assert answer.json()["verified"] is True
    found = shown(trainer)
    assert (found["state"], found["path"], found["verified"]) == ("pinned", kept, True)
    assert unverified(api) == []
    act = trainer.get("/audit")["audit"][0]
    assert (act["action"], act["detail"]["was"], act["detail"]["state"]) == (
        "check", "present", "pinned",
    )  # fmt: skip


def test_what_was_lost_or_changed_is_told_and_cannot_be_promoted(
    api: TestClient, clock: Clock
) -> None:
    trainer, one = Trainer(api), new_id()
    trainer.send(point(10), checkpoint(10, one))
    promoted(api, one)
    for state in ("corrupt", "missing"):
        assert check(api, one, state).json() == {
            "checkpoint_id": one, "run_id": trainer.run_id, "state": state, "verified": False,
        }  # fmt: skip
        assert (shown(trainer)["state"], shown(trainer)["aliases"]) == (state, ["production"])
        assert api.post(f"/api/v1/checkpoints/{one}/promote", json={}).status_code == 409


def test_other_files_are_never_verified_under_its_name_and_no_path_but_a_kept_ones_counts(
    api: TestClient,
) -> None:
    trainer, one = Trainer(api), new_id()
    trainer.send(point(10), checkpoint(10, one))
    answer = check(api, one, "pinned", step=11)
    assert answer.status_code == 409
    assert "registered with sha256" in answer.json()["detail"]
    assert check(api, one, "present", path="../../etc").status_code == 200
    assert shown(trainer)["path"] == "checkpoint-10"
    assert check(api, new_id(), "present").status_code == 404
    assert check(api, one, "fine").status_code == 422


def test_what_no_box_has_said_anything_of_is_not_verified(api: TestClient) -> None:
    """Rows of the version before: it kept no time of a look."""
    trainer, one = Trainer(api), new_id()
    trainer.send(point(10), checkpoint(10, one))
    database = api.app.state.service.database  # type: ignore[attr-defined]
    from sqlalchemy import text

    with database.write() as tx:
        tx.execute(text("UPDATE checkpoints SET checked_at = NULL"))
    assert promoted(api, one)["verified"] is False
    assert (shown(trainer)["checked_at"], unverified(api)) == (None, [one])
