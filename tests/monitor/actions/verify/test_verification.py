"""Suspect, verify, act: what the monitor asks of a trainer, and what follows from its scores."""

import json
import re
from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from cusp.ids import new_id
from cusp.verification.sequential import MOST_LOOKS
from monitor.app import create_app
from monitor.background.expiry import expire_overdue
from monitor.settings import MonitorConfig
from monitor.store.verdicts import decisions_of
from monitor.webhooks.ssrf import allowed_networks
from tests.conftest import Clock
from tests.messages import Json, Trainer, checkpoint, point, status, transition

RIGHT, WRONG = [1.0] * 64, [0.0] * 64
METADATA = {"verifies": "training", "max_steps": 400}


def verifying(api: TestClient, **start: Any) -> Trainer:
    return Trainer(api, **{"metadata": METADATA, **start})


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def suspected(trainer: Trainer) -> Json:
    """Train until the monitor asks for a verification, and return that command."""
    for step in range(1, 121):
        for command in trainer.send(*messages_at(step))["commands"]:
            if command["kind"] == "verify":
                return {**command, "step": step}
    raise AssertionError("no verification was asked for")


def messages_at(step: int, turn: int = 60) -> list[Json]:
    ripple = ((step * 7919) % 13 - 6) / 200
    rising, after = min(1.0, step / 25), min(1.0, max(0.0, (step - turn) / 25))
    values = {
        "format_reward": min(1.0, max(0.0, 0.3 + 0.6 * rising - 0.5 * after + ripple)),
        "accuracy_reward": min(1.0, max(0.0, 0.3 + 0.4 * rising - 0.6 * after + ripple)),
        "completion_length": 60 - 25 * rising + 25 * after + 20 * ripple,
        "entropy": 0.5 + 0.8 * after + ripple / 4,
    }
    return [point(step, **values), *([checkpoint(step)] if step % 10 == 0 else [])]


def train(trainer: Trainer, first: int, last: int) -> list[Json]:
    """Train on and return the commands that were new."""
    known: dict[str, Json] = {}
    for step in range(first, last + 1):
        for command in trainer.send(*messages_at(step))["commands"]:
            known.setdefault(command["command_id"], command)
    return list(known.values())


def scores(command: Json, now: list[float], earlier: list[float], **more: Any) -> Json:
    step = command["step"]
    found = {str(one): earlier for one in command["steps"]} | {str(step): now}
    return {
        "kind": "verification",
        "command_id": command["command_id"],
        "step": step,
        "scores": found,
        "completions": 64 * len(found),
        "seconds": 2.5,
        **more,
    }


def verified(trainer: Trainer, command: Json, now: list[float], earlier: list[float]) -> None:
    """Answer the command as the trainer does: its scores, then that it is done."""
    trainer.send(scores(command, now, earlier))
    trainer.ack({"command_id": command["command_id"]}, "done", step=command["step"])


def verifications(trainer: Trainer) -> list[Json]:
    found: list[Json] = trainer.get("/verifications")["verifications"]
    return found


def test_a_suspicion_asks_the_trainer_before_anything_is_stopped(api: TestClient) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    assert command["verify"]["stages"] == [32, 64, 128]
    assert command["verify"]["alpha"] == pytest.approx(0.005)
    assert len(command["steps"]) == 3
    assert max(command["steps"]) <= command["step"]
    run = trainer.get()
    assert run["phase"] == "turning"
    assert [one["kind"] for one in run["commands"]] == ["verify"]
    asked = verifications(trainer)[0]
    assert (asked["author"], asked["state"], asked["by"]) == ("policy", "open", "training")


def test_a_confirmed_transition_waits_for_the_verification(api: TestClient) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    assert [c["kind"] for c in train(trainer, command["step"] + 1, 120)] == ["verify"]
    assert trainer.get()["phase"] == "past"


def test_worse_keeps_the_best_earlier_checkpoint_and_stops_once_the_signals_confirm(
    api: TestClient,
) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    message = scores(command, WRONG, RIGHT)
    message["scores"][str(command["steps"][0])] = [1.0, 0.0] * 32
    told = trainer.send(message)["commands"]
    assert [one["kind"] for one in told] == ["verify"], "a dip heals"
    assert "once more some steps later" in verifications(trainer)[0]["followed"]
    trainer.ack({"command_id": command["command_id"]}, "done", step=command["step"])
    kinds = {one["kind"]: one for one in train(trainer, command["step"] + 1, 85)}
    assert set(kinds) >= {"keep", "stop"}
    assert kinds["stop"]["steps"] == kinds["keep"]["steps"] == [command["steps"][-1]]
    assert "-1.00 (95 % interval" in kinds["stop"]["reason"]
    reason = kinds["keep"]["reason"]
    assert re.match(r"Step \d+ scored best of the earlier checkpoints on 64", reason)
    assert not re.search(r"[.!?] [a-z]", reason), "a sentence begins with a capital letter"
    assert "on 64 problems" in kinds["stop"]["reason"]
    run = trainer.get()
    assert run["checkpoints"]["pre-transition"]["step"] == command["steps"][-1]
    found = verifications(trainer)[-1]
    assert found["state"] == "worse"
    assert "is kept, and the run was told to stop" in found["followed"]
    assert (found["completions"], found["seconds"]) == (256, 2.5)
    assert {one["step"]: one["mean"] for one in found["scored"]}[command["step"]] == 0.0


def worse_twice(api: TestClient, trainer: Trainer) -> list[Json]:
    """Have a run that nobody suspects verified by a person, worse twice; return the commands after that."""
    train(trainer, 1, 45)
    api.post(f"/api/v1/runs/{trainer.run_id}/verifications", json={}).raise_for_status()
    first = {**trainer.send()["commands"][0], "step": 45}
    assert [one["kind"] for one in trainer.send(scores(first, WRONG, RIGHT))["commands"]] == [
        "verify"
    ]
    trainer.ack({"command_id": first["command_id"]}, "done", step=45)
    assert train(trainer, 46, 54) == []
    (second,) = train(trainer, 55, 55)
    assert (second["kind"], second["steps"]) == ("verify", first["steps"])
    verified(trainer, {**second, "step": 55}, WRONG, RIGHT)
    found: list[Json] = trainer.send()["commands"]
    return found


@pytest.mark.parametrize(
    ("action", "kinds"), [("stop", {"keep", "stop"}), ("propose", {"keep"}), ("watch", {"keep"})]
)
def test_worse_twice_is_acted_on_as_the_policy_says_though_nothing_is_suspected(
    api: TestClient, action: str, kinds: set[str]
) -> None:
    trainer = verifying(api, policy={"action": action})
    told = worse_twice(api, trainer)
    assert {one["kind"] for one in told} == kinds
    proposed = [one["kind"] for one in trainer.get()["decisions"]]
    assert ("propose" in proposed) == (action == "propose")


def decided(trainer: Trainer) -> list[tuple[str, str]]:
    """Return the kinds of the run's decisions, each with the kind of what was found, oldest first."""
    with trainer.api.app.state.service.database.read() as tx:  # type: ignore[attr-defined]
        rows = sorted(decisions_of(tx, trainer.run_id), key=lambda row: str(row.id))
    return [(row.kind, row.finding.split()[0]) for row in rows]


@pytest.mark.parametrize(("action", "more"), [("propose", ["propose"]), ("watch", [])])
def test_a_transition_after_the_weights_that_were_worse_is_acted_on_too(
    api: TestClient, action: str, more: list[str]
) -> None:
    trainer = verifying(api, policy={"action": action})
    worse_twice(api, trainer)
    train(trainer, 56, 120)
    assert trainer.get()["transition"]["step"] > 55
    kinds = ["keep", *more]
    assert decided(trainer) == [
        (kind, found) for found in ("verification", "transition") for kind in kinds
    ]


def test_a_stop_that_was_refused_leaves_a_later_transition_to_be_acted_on(api: TestClient) -> None:
    trainer = verifying(api)
    for command in worse_twice(api, trainer):
        trainer.ack(command, "refused", reason="not now")
    assert "stop" in {one["kind"] for one in train(trainer, 56, 120)}
    assert ("stop", "transition") in decided(trainer)


def test_a_collapse_after_the_weights_that_were_worse_is_acted_on_too(api: TestClient) -> None:
    trainer = verifying(api, policy={"action": "propose"})
    command = suspected(trainer)
    trainer.send(scores(command, WRONG, RIGHT))
    trainer.ack({"command_id": command["command_id"]}, "done", step=command["step"])
    for told in train(trainer, command["step"] + 1, 90):
        trainer.ack({"command_id": told["command_id"]}, "refused", reason="not now")
    once = [("keep", "verification"), ("propose", "verification")]
    assert decided(trainer) == once, "the signals that made it certain are no second finding"
    gone = {"format_reward": 0.0, "accuracy_reward": 0.0, "completion_length": 60.0, "entropy": 1.3}
    for step in range(91, 160):
        trainer.send(point(step, **gone))
    assert trainer.get()["phase"] == "collapsed"
    assert decided(trainer) == [*once, ("keep", "transition"), ("propose", "transition")]


def test_a_second_look_that_bears_a_decision_out_decides_nothing_anew(api: TestClient) -> None:
    trainer = verifying(api, policy={"action": "propose"})
    command = suspected(trainer)
    trainer.send(scores(command, WRONG, RIGHT))
    trainer.ack({"command_id": command["command_id"]}, "done", step=command["step"])
    told = train(trainer, command["step"] + 1, 100)
    second = next(one for one in told if one["kind"] == "verify")
    once = [("keep", "verification"), ("propose", "verification")]
    assert decided(trainer) == once, "the signals confirmed while it was under way"
    verified(trainer, {**second, "step": 100}, WRONG, RIGHT)
    train(trainer, 101, 120)
    assert decided(trainer) == once
    assert verifications(trainer)[0]["state"] == "worse"
    assert "bears out what was decided before" in verifications(trainer)[0]["followed"]


def test_a_dip_that_heals_is_left_alone(api: TestClient) -> None:
    trainer = verifying(api)
    train(trainer, 1, 45)
    api.post(f"/api/v1/runs/{trainer.run_id}/verifications", json={}).raise_for_status()
    verified(trainer, {**trainer.send()["commands"][0], "step": 45}, WRONG, RIGHT)
    (second,) = train(trainer, 46, 55)
    verified(trainer, {**second, "step": 55}, RIGHT, WRONG)
    assert train(trainer, 56, 58) == [] or trainer.get()["decisions"] == []


def test_a_run_that_nobody_suspects_is_looked_at_on_schedule(api: TestClient) -> None:
    trainer = verifying(api, metadata={**METADATA, "max_steps": 80})
    assert train(trainer, 1, 39) == []
    (look,) = train(trainer, 40, 40)
    assert look["verify"]["stages"] == [32, 64]
    verified(trainer, {**look, "step": 40}, RIGHT, WRONG)
    trainer.send(*messages_at(41))
    found = verifications(trainer)[0]
    assert (found["state"], found["followed"]) == ("not_worse", "Nothing: nothing was suspected.")


def test_a_scheduled_look_waits_for_the_first_checkpoint(api: TestClient) -> None:
    trainer = verifying(api, metadata={**METADATA, "max_steps": 80})
    for step in range(1, 45):
        assert trainer.send(messages_at(step)[0])["commands"] == []
    trainer.send(messages_at(45)[0], checkpoint(45))
    (look,) = trainer.send(messages_at(46)[0])["commands"]
    assert (look["kind"], look["steps"]) == ("verify", [45])
    verified(trainer, {**look, "step": 46}, RIGHT, WRONG)
    told = {one["kind"] for one in train(trainer, 47, 58)}
    assert told <= {"release"}, "once"


def test_a_scheduled_look_waits_for_the_one_that_is_under_way(api: TestClient) -> None:
    trainer = verifying(api, metadata={**METADATA, "max_steps": 80})
    train(trainer, 1, 35)
    api.post(f"/api/v1/runs/{trainer.run_id}/verifications", json={}).raise_for_status()
    (first,) = train(trainer, 36, 44)
    verified(trainer, {**first, "step": 44}, RIGHT, WRONG)
    told = [one for one in train(trainer, 45, 46) if one["kind"] == "verify"]
    assert [one["verify"]["stages"] for one in told] == [[32, 64]]
    assert verifications(trainer)[0]["reason"].startswith("scheduled at step 40 of 80")


def test_not_worse_refutes_and_lets_the_candidates_go(api: TestClient) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    trainer.send(scores(command, RIGHT, WRONG))
    trainer.ack({"command_id": command["command_id"]}, "done")
    told = trainer.send(*messages_at(command["step"] + 1))["commands"]
    assert [(one["kind"], one["steps"]) for one in told] == [("release", command["steps"])]
    run = trainer.get()
    assert run["phase"] not in ("turning", "past")
    assert "refuted" in {one["state"] for one in run["change_points"]}
    assert run["decisions"] == []
    assert "refuted" in verifications(trainer)[0]["followed"]


def test_what_somebody_keeps_is_not_let_go(api: TestClient) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    rows = {row["step"]: row["id"] for row in trainer.get("/checkpoints")["checkpoints"]}
    first, second, third = command["steps"]
    api.post(f"/api/v1/checkpoints/{rows[first]}/promote", json={}).raise_for_status()
    api.post(f"/api/v1/checkpoints/{rows[second]}/pin", json={}).raise_for_status()
    told = trainer.send(scores(command, RIGHT, WRONG))["commands"]
    assert [one["steps"] for one in told if one["kind"] == "release"] == [[third]]


def test_a_released_checkpoint_is_what_the_trainer_says_it_is(api: TestClient) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    rows = {row["step"]: row for row in trainer.get("/checkpoints")["checkpoints"]}
    step = command["steps"][0]
    there = {**checkpoint(step, rows[step]["id"]), "sha256": rows[step]["sha256"]}
    trainer.send({**there, "state": "pinned", "path": f"pinned/checkpoint-{step}"})
    trainer.send(there)
    states = {row["step"]: row for row in trainer.get("/checkpoints")["checkpoints"]}
    assert (states[step]["state"], states[step]["pinned"]) == ("pinned", True)
    trainer.send(scores(command, RIGHT, WRONG))
    trainer.send({**there, "state": "missing"})
    states = {row["step"]: row for row in trainer.get("/checkpoints")["checkpoints"]}
    assert (states[step]["state"], states[step]["pinned"]) == ("missing", False)


def test_undecided_looks_again_and_holds_meanwhile(api: TestClient) -> None:
    trainer = verifying(api)
    command = undecided(trainer)
    page = api.get(f"/runs/{trainer.run_id}").text
    assert f"Look 1 of at most {MOST_LOOKS}: called worse by chance" in page
    told = train(trainer, command["step"] + 1, command["step"] + 30)
    assert [one["kind"] for one in told] == ["verify"]
    assert told[0]["verify"]["alpha"] == pytest.approx(0.005)
    assert told[0]["verify"]["budget"] == 1500 - 256


def undecided(trainer: Trainer) -> Json:
    """Train until a look is asked for, answer it with scores that tell nothing apart, and return it."""
    command = suspected(trainer)
    now, earlier = [0.0, 0.0, 1.0, *[1.0] * 13] * 4, [1.0, 1.0, 0.0, *[1.0] * 13] * 4
    verified(trainer, command, now, earlier)
    assert verifications(trainer)[0]["state"] == "undecided"
    return command


def test_a_look_that_can_no_longer_be_paid_holds_nothing_up(api: TestClient) -> None:
    trainer = verifying(api, policy={"verify_budget": 256 + 40})
    command = undecided(trainer)
    ids = {row["step"]: row["id"] for row in trainer.get("/checkpoints")["checkpoints"]}
    for step in command["steps"]:  # the ones with known scores, which cost nothing
        trainer.send(checkpoint(step, ids[step], "missing"))
    assert {one["kind"] for one in train(trainer, command["step"] + 1, 90)} == {"keep", "stop"}


def test_a_resumed_attempt_that_cannot_verify_holds_nothing_up(api: TestClient) -> None:
    trainer = verifying(api)
    command = undecided(trainer)
    resumed = verifying(api, run_id=trainer.run_id, metadata={"max_steps": 400})
    told = train(resumed, command["step"] + 1, 90)
    assert {one["kind"] for one in told} == {"keep", "stop"}


def test_where_the_trainer_refuses_the_signals_decide(api: TestClient) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    trainer.ack({"command_id": command["command_id"]}, "refused", reason="not with vLLM yet")
    found = verifications(trainer)[0]
    assert (found["state"], found["state_reason"]) == ("refused", "not with vLLM yet")
    told = train(trainer, command["step"] + 1, 120)
    assert {one["kind"] for one in told} == {"keep", "stop"}


def test_where_no_trainer_takes_it_the_signals_decide_after_a_while(
    api: TestClient, clock: Clock
) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    train(trainer, command["step"] + 1, 100)
    clock.now += 601
    expire_overdue(api.app.state.service.database, clock.now)  # type: ignore[attr-defined]
    told = train(trainer, 101, 102)
    assert {one["kind"] for one in told} == {"keep", "stop"}
    assert verifications(trainer)[0]["state"] == "expired"


@pytest.mark.parametrize(
    ("state", "allowed_s"), [("delivered", 600), ("agreed", 1_800)], ids=["delivered", "agreed"]
)
def test_a_trainer_that_heard_it_and_does_not_act_holds_a_transition_up_for_a_while(
    api: TestClient, clock: Clock, state: str, allowed_s: int
) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    clock.now += 500
    trainer.ack({"command_id": command["command_id"]}, state, step=command["step"])
    train(trainer, command["step"] + 1, 100)
    clock.now += allowed_s - 1
    expire_overdue(api.app.state.service.database, clock.now)  # type: ignore[attr-defined]
    assert [one["kind"] for one in train(trainer, 101, 102)] == ["verify"]
    (asked,) = trainer.get()["commands"]
    clock.now += 2
    assert seconds(asked["expires_at"]) == pytest.approx(clock.now - 1)
    expire_overdue(api.app.state.service.database, clock.now)  # type: ignore[attr-defined]
    assert verifications(trainer)[0]["state"] == "expired"
    assert {one["kind"] for one in train(trainer, 103, 104)} == {"keep", "stop"}


def test_a_policy_without_verification_acts_by_the_signals(api: TestClient) -> None:
    trainer = verifying(api, policy={"verify": "off"})
    assert {one["kind"] for one in transition(trainer)} == {"keep", "stop"}


def test_a_resumed_attempt_is_asked_again_what_a_killed_one_did_not_answer(
    api: TestClient,
) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    trainer.ack({"command_id": command["command_id"]}, "agreed", step=command["step"])
    resumed = verifying(api, run_id=trainer.run_id)  # kill -9 amid the verification
    assert verifications(resumed)[0]["state"] == "expired"
    told = train(resumed, 61, command["step"] + 10)
    assert [one["kind"] for one in told] == ["verify"]
    again = {**told[0], "step": command["step"] + 10}
    verified(resumed, again, WRONG, RIGHT)
    assert [one["state"] for one in verifications(resumed)] == ["worse", "expired"]
    train(resumed, again["step"] + 1, 100)
    assert "stop" in {one["kind"] for one in resumed.get()["decisions"]}


def test_an_outcome_of_weights_left_behind_decides_nothing(api: TestClient) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    resumed = verifying(api, run_id=trainer.run_id)
    train(resumed, 31, 40)
    trainer.send(scores(command, WRONG, RIGHT))  # from a spool that came late
    assert resumed.get()["decisions"] == []
    assert verifications(resumed)[0]["state"] == "superseded"


def test_scores_sent_twice_are_taken_once(api: TestClient) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    trainer.send(scores(command, RIGHT, WRONG))
    trainer.send(scores(command, WRONG, RIGHT))
    assert verifications(trainer)[0]["state"] == "not_worse"
    assert trainer.get()["quarantined"] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"command_id": new_id()}, "was asked for by command"),
        ({"scores": {"70": RIGHT}, "step": 70}, "none of the earlier checkpoints"),
        ({"step": 9999}, "lack those of step 9999 itself"),
        ({"short": True}, "score the same problems"),
        ({"undecided": True}, "no problem that was decided"),
        ({"wild": True}, "scores"),
    ],
)
def test_scores_that_answer_nothing_are_set_aside_with_a_sentence(
    api: TestClient, change: Json, said: str
) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    message = {**scores(command, RIGHT, WRONG), **change}
    if message.pop("short", False):
        message["scores"][str(command["step"])] = RIGHT[:-1]
    if message.pop("undecided", False):
        message["scores"][str(command["step"])] = [None] * 64
    if message.pop("wild", False):
        message["scores"][str(command["step"])] = [7.0] * 64
    trainer.send(message)
    run = trainer.get()
    assert run["quarantined"] == 1
    assert said in run["quarantine"][0]["reason"]
    assert verifications(trainer)[0]["state"] == "open"
    trainer.send(scores(command, RIGHT, WRONG))
    assert verifications(trainer)[0]["state"] == "not_worse"


def test_scores_of_another_run_are_set_aside(api: TestClient) -> None:
    trainer, other = verifying(api), verifying(api)
    command = suspected(trainer)
    other.send(scores(command, WRONG, RIGHT))
    assert other.get()["quarantined"] == 1
    assert trainer.get()["decisions"] == []


def test_batching_changes_nothing(api: TestClient) -> None:
    one, many = verifying(api), verifying(api)
    command = suspected(one)
    messages = [message for step in range(1, 121) for message in messages_at(step)]
    many.send(*messages)
    other = verifications(many)[0]
    assert (other["step"], other["candidates"]) == (command["step"], command["steps"])


def test_a_run_that_ends_is_not_asked(api: TestClient) -> None:
    trainer = verifying(api)
    command = suspected(trainer)
    trainer.send(status("finished"))
    assert verifications(trainer)[0]["state"] == "expired"
    assert trainer.send(scores(command, WRONG, RIGHT))["commands"] == []
    assert verifications(trainer)[0]["state"] == "worse"
    assert "stop" not in {one["kind"] for one in trainer.get()["decisions"]}


def test_a_person_asks_at_any_time(api: TestClient) -> None:
    trainer = verifying(api)
    train(trainer, 1, 45)
    path = f"/api/v1/runs/{trainer.run_id}/verifications"
    asked = api.post(path, json={})
    assert asked.status_code == 202, asked.text
    assert asked.json()["candidates"] == [10, 20, 40]
    assert api.post(path, json={}).json()["id"] == asked.json()["id"], "one is under way"
    assert [one["kind"] for one in trainer.send()["commands"]] == ["verify"]


@pytest.mark.parametrize(
    ("metadata", "messages", "said"),
    [
        ({}, [checkpoint(1), point(2)], "the signals alone decide"),
        (METADATA, [point(2)], "wait for the next save"),
        (METADATA, [checkpoint(1), point(2), status("finished")], "the run is finished"),
    ],
)
def test_why_a_verification_cannot_be_asked_for_is_a_sentence(
    api: TestClient, metadata: Json, messages: list[Json], said: str
) -> None:
    trainer = Trainer(api, metadata=metadata, policy={"evaluate": "none"})
    trainer.send(*messages)
    answer = api.post(f"/api/v1/runs/{trainer.run_id}/verifications", json={})
    assert answer.status_code == 409
    assert said in answer.json()["detail"]


def test_only_who_may_control_a_run_may_have_it_verified(database_url: str) -> None:
    app = create_app(MonitorConfig(database_url, token="the-admin"))
    with TestClient(app, base_url="http://127.0.0.1:8787") as api:
        admin = {"Authorization": "Bearer the-admin"}
        body = {"name": "reader", "scopes": ["read"]}
        made = api.post("/api/v1/tokens", json=body, headers=admin).json()
        reader = {"Authorization": f"Bearer {made['token']}"}
        path = f"/api/v1/runs/{new_id()}/verifications"
        refused = api.post(path, json={}, headers=reader)
        assert refused.status_code == 403, refused.text
        assert "control" in refused.json()["detail"]
        assert api.get(path, headers=reader).status_code == 404
        assert api.post(path, json={}, headers=admin).status_code == 404


def test_a_repeat_with_the_same_key_asks_once(api: TestClient) -> None:
    trainer = verifying(api)
    train(trainer, 1, 45)
    path, key = f"/api/v1/runs/{trainer.run_id}/verifications", {"Idempotency-Key": "once"}
    first = api.post(path, json={}, headers=key).json()
    trainer.ack({"command_id": first["command_id"]}, "refused", reason="busy")
    assert api.post(path, json={}, headers=key).json() == first
    assert len(verifications(trainer)) == 1


def test_a_webhook_hears_the_outcome_once(database_url: str) -> None:
    allowed = allowed_networks("127.0.0.0/8")
    app = create_app(MonitorConfig(database_url, webhook_allow=allowed))
    api, database = TestClient(app, base_url="http://127.0.0.1:8787"), app.state.service.database
    hook = {"url": "http://127.0.0.1:9/cusp", "topics": ["verification.done"]}
    made = api.post("/api/v1/webhooks", json=hook)
    trainer = verifying(api)
    command = suspected(trainer)
    trainer.send(scores(command, WRONG, RIGHT))
    trainer.send(scores(command, WRONG, RIGHT))
    with database.read() as tx:
        rows = tx.execute(text("SELECT body FROM deliveries")).scalars().all()
    database.close()
    assert made.status_code in (200, 201, 202), made.text
    assert len(rows) == 1
    told = json.loads(rows[0])["data"]
    assert (told["outcome"], told["step"]) == ("worse", command["step"])
    assert "worse than an earlier checkpoint" in told["words"]
