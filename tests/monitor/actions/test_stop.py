"""A policy's stop and a resumed training: what was seen anew stops again, what was done does not."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from monitor.background.expiry import expire_overdue
from tests.conftest import Clock
from tests.messages import Trainer, checkpoint, point, status, transition

Json = dict[str, Any]


def past(step: int) -> Json:
    """A step beyond the transition of `tests.messages.transition`, as a curve that stays there."""
    return point(
        step,
        format_reward=0.4 + ((step * 7919) % 13 - 6) / 200,
        accuracy_reward=0.1,
        completion_length=60.0,
        entropy=1.3,
    )


def stopped_at(trainer: Trainer) -> int:
    """Let the first attempt run into the transition; return the last step it sent."""
    assert "stop" in {command["kind"] for command in transition(trainer)}
    return int(trainer.get()["step"])


def stops(trainer: Trainer) -> list[Json]:
    return [c for c in trainer.get()["commands"] if c["kind"] == "stop"]


def again(crashed: Trainer, clock: Clock) -> Trainer:
    clock.now += 5
    return Trainer(crashed.api, crashed.run_id)


def test_a_transition_seen_again_at_the_same_step_after_a_resume_stops_again(
    api: TestClient, clock: Clock
) -> None:
    first = Trainer(api)
    seen = stopped_at(first)
    (command,) = stops(first)
    first.ack({"command_id": command["id"]}, "done", step=seen)
    first.send(status("stopped"))
    second = again(first, clock)
    told = transition(second, first=31)
    assert second.get()["step"] == seen, "the same curve is seen through at the same step"
    assert {c["kind"] for c in told} == {"keep", "stop"}
    assert [c["state"] for c in stops(second)] == ["done", "open"]
    assert not any(c["reason"].startswith("Asked again") for c in stops(second))


@pytest.mark.parametrize("end", [None, "failed"])
def test_a_stop_that_a_crash_came_before_is_asked_of_the_resumed_attempt_once(
    api: TestClient, clock: Clock, end: str | None
) -> None:
    first = Trainer(api)
    seen = stopped_at(first)
    if end:
        first.send(status(end))
    second = again(first, clock)
    assert second.send(status("started"))["commands"] == [], "nothing is known of it yet"
    told = {c["kind"]: c for c in second.send(past(seen + 1))["commands"]}
    assert told["stop"]["reason"].startswith("Asked again, as the trainer was gone")
    assert told["stop"]["steps"] == told["keep"]["steps"] != []
    assert [c["state"] for c in stops(second)] == ["expired", "open"]
    second.send(*[past(step) for step in range(seen + 2, seen + 6)])
    assert len(stops(second)) == 2


def test_who_goes_on_past_a_stop_that_was_done_is_not_stopped_for_it_again(
    api: TestClient, clock: Clock
) -> None:
    first = Trainer(api)
    seen = stopped_at(first)
    for command in first.get()["commands"]:
        first.ack({"command_id": command["id"]}, "done", step=seen)
    first.send(status("stopped"))
    second = again(first, clock)
    assert second.send(*[past(seen + n) for n in range(1, 5)])["commands"] == []


def test_a_trainer_that_says_late_that_it_did_stop_is_believed(
    api: TestClient, clock: Clock
) -> None:
    first = Trainer(api)
    seen = stopped_at(first)
    (command,) = stops(first)
    second = again(first, clock)
    assert stops(second)[0]["state"] == "expired"
    late = {"kind": "ack", "command_id": command["id"], "state": "done", "step": seen}
    first.send(late, status("stopped"))
    assert [(c["state"], c["step"], c["state_reason"]) for c in stops(second)] == [
        ("done", seen, None)
    ]
    kept = [c["kind"] for c in second.send(past(seen + 1))["commands"]]
    assert kept == ["keep"], "it had stopped, and somebody went on knowing that"
    assert second.get()["status"] == "running"


def test_a_stop_that_never_reached_its_trainer_is_asked_again_when_it_is_back(
    api: TestClient, clock: Clock
) -> None:
    trainer = Trainer(api)
    seen = stopped_at(trainer)
    clock.now += 3_700
    expire_overdue(api.app.state.service.database, clock())  # type: ignore[attr-defined]
    assert [c["state"] for c in stops(trainer)] == ["expired"]
    told = [c["kind"] for c in trainer.send(past(seen + 1))["commands"]]
    assert sorted(told) == ["keep", "stop"]
    clock.now += 3_700
    expire_overdue(api.app.state.service.database, clock())  # type: ignore[attr-defined]
    assert trainer.send(past(seen + 2))["commands"] == [], "once, not every hour"


def test_a_dismissed_transition_is_not_asked_for_again(api: TestClient, clock: Clock) -> None:
    first = Trainer(api)
    seen = stopped_at(first)
    for one in first.get("/change-points")["change_points"]:
        api.patch(f"/api/v1/change-points/{one['id']}", json={"state": "dismissed"})
    second = again(first, clock)
    assert second.send(past(seen + 1))["commands"] == []


def test_a_dismissed_transition_is_no_longer_told_of_and_comes_back_with_the_word(
    api: TestClient,
) -> None:
    trainer = Trainer(api)
    seen = stopped_at(trainer)
    points = [c["id"] for c in trainer.get("/change-points")["change_points"]]
    before = trainer.get()

    def judge(state: str) -> Json:
        for one in points:
            api.patch(f"/api/v1/change-points/{one}", json={"state": state})
        return trainer.get()

    dismissed = judge("dismissed")
    assert before["phase"] == "past"
    assert dismissed["phase"] == "adapted"
    assert dismissed["transition"] == {**before["transition"], "state": "dismissed"}
    assert "A person dismissed" in dismissed["words"]
    trainer.send(past(seen + 1))
    assert trainer.get()["transition"]["state"] == "dismissed"
    assert trainer.get()["phase"] == "adapted"
    again = judge("confirmed")
    assert again["transition"]["state"] == "confirmed"
    assert again["phase"] == "past"


def test_a_checkpoint_that_is_gone_when_it_is_to_be_kept_is_replaced_by_the_one_before(
    api: TestClient,
) -> None:
    trainer = Trainer(api)
    told = {c["kind"]: c for c in transition(trainer)}
    (gone,) = told["keep"]["steps"]
    here = {c["step"]: c for c in trainer.get("/checkpoints")["checkpoints"]}
    rotated = checkpoint(gone, here[gone]["id"], state="missing")
    seq = trainer.seq
    refusal = {"kind": "ack", "command_id": told["keep"]["command_id"], "state": "refused"}
    told_again = trainer.send(rotated, {**refusal, "reason": "no checkpoint of it is here"})
    (keep,) = [c for c in told_again["commands"] if c["kind"] == "keep"]
    assert keep["steps"] == [gone - 10]
    assert f"step {gone} could not be kept" in keep["reason"]
    named = {a: c["step"] for c in trainer.get("/checkpoints")["checkpoints"] for a in c["aliases"]}
    assert named == {"pre-transition": gone - 10}
    assert trainer.send(rotated, refusal, first_seq=seq)["commands"] == told_again["commands"]
    trainer.ack(keep, "done")
    trainer.send(past(trainer.get()["step"] + 1))
    assert [c["state"] for c in trainer.get()["commands"] if c["kind"] == "keep"] == [
        "refused",
        "done",
    ]
