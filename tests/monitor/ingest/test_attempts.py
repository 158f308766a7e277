"""Attempts of one run: whose turn it is, what a superseded one is told, and when each of them lived."""

from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cusp.ids import new_id
from monitor.store import deletion
from tests.conftest import Clock
from tests.messages import Json, Trainer, point, status

DAY_S = 86_400.0
PRICED = {"gpu_count": 2, "gpu_hourly_usd": 1.5, "max_steps": 480}


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def with_id(api: TestClient, run_id: str, attempt_id: str, **start: Any) -> Trainer:
    trainer = Trainer.__new__(Trainer)
    trainer.api, trainer.run_id, trainer.attempt_id, trainer.seq = api, run_id, attempt_id, 0
    trainer.start = {"run_id": run_id, "attempt_id": attempt_id, "name": "n", **start}
    trainer.announce()
    return trainer


def stop(trainer: Trainer) -> int:
    return trainer.api.post(f"/api/v1/runs/{trainer.run_id}/stop", json={}).status_code


def at(step: int, when: float, **metrics: float) -> Json:
    return {**point(step, **metrics), "at": when}


def test_an_attempt_whose_box_has_an_earlier_clock_is_the_newest_all_the_same(
    api: TestClient,
) -> None:
    first = Trainer(api)
    first.send(status("started"), *[point(n) for n in range(50)], status("failed", reason="OOM"))
    second = with_id(api, first.run_id, "0" * 25 + "1")
    second.send(status("started"), *[point(n, reward=0.9) for n in range(40, 90)])
    assert (second.get()["status"], second.get()["step"]) == ("running", 89)
    assert stop(second) == 202
    assert [command["kind"] for command in second.send()["commands"]] == ["stop"]
    steps, values = second.series("reward")
    assert (steps, values[-1]) == (list(range(90)), 0.9)
    assert [one["id"] for one in second.get()["attempts"]] == [
        first.attempt_id,
        second.attempt_id,
    ]


def test_an_attempt_announced_late_takes_the_place_it_names(api: TestClient) -> None:
    first = Trainer(api)
    first.send(*[point(n, reward=1.0) for n in range(10)])
    offline = new_id()
    third = Trainer(api, first.run_id, after=offline)
    third.send(status("started"), *[point(n, reward=3.0) for n in range(15, 20)])
    late = with_id(api, first.run_id, offline, after=first.attempt_id)
    late.send(status("started"), *[point(n, reward=2.0) for n in range(5, 18)], status("failed"))
    assert late.series("reward")[1] == [1.0] * 5 + [2.0] * 10 + [3.0] * 5
    found = late.get()
    assert (found["status"], found["still_training"]) == ("running", [])
    assert [one["id"] for one in found["attempts"]] == [
        first.attempt_id,
        offline,
        third.attempt_id,
    ]


def test_an_attempt_of_another_run_is_refused_with_a_sentence(api: TestClient) -> None:
    mine, theirs = Trainer(api), Trainer(api)
    start = {"run_id": theirs.run_id, "attempt_id": mine.attempt_id, "name": "n"}
    answer = api.post("/api/v1/runs", json=start)
    assert answer.status_code == 409
    assert f"attempt {mine.attempt_id} is one of another run" in answer.json()["detail"]
    fresh = {**start, "run_id": new_id()}
    assert api.post("/api/v1/runs", json=fresh).status_code == 409
    assert api.get(f"/api/v1/runs/{fresh['run_id']}").status_code == 404, "nothing is left of it"


def test_an_announced_attempt_that_never_comes_holds_up_no_later_one(api: TestClient) -> None:
    live = Trainer(api)
    live.send(status("started"), point(1))
    with_id(api, live.run_id, "7" + "Z" * 25)
    assert stop(live) == 202
    assert [command["kind"] for command in live.send(point(2))["commands"]] == ["stop"]
    resumed = Trainer(api, live.run_id)
    resumed.send(status("started"), point(3))
    assert resumed.get()["status"] == "running"
    assert stop(resumed) == 202
    assert [command["kind"] for command in resumed.send()["commands"]] == ["stop"]


def test_of_two_living_trainers_the_older_is_told_and_counted_and_stopped(
    api: TestClient, clock: Clock
) -> None:
    older = Trainer(api, host="box-a")
    older.send(status("started"), *[point(n, reward=0.2) for n in range(20)])
    clock.now += 1
    newer = Trainer(api, older.run_id, host="box-b")
    newer.send(status("started"), point(0, reward=0.8), point(1, reward=0.8))
    clock.now += 1
    reply = older.send(*[point(n, reward=0.2) for n in range(20, 30)], withheld=4)
    assert reply["superseded"] == "attempt 2 on box-b has taken the run over"
    assert "superseded" not in newer.send()
    found = newer.get()
    assert newer.series("reward") == ([0, 1], [0.8, 0.8])
    assert (found["step"], found["still_training"]) == (1, [1])
    assert found["attempts"][0]["outrun"] == 14
    assert found["attempts"][1]["outrun"] == 0
    page = api.get(f"/runs/{newer.run_id}").raise_for_status().text
    assert "Attempt 1 still trains though attempt 2 has taken the run over" in page
    assert stop(newer) == 202
    (command,) = older.send()["commands"]
    older.ack(command, "done")
    assert newer.get()["commands"][0]["state"] == "open", "it is for the newest to say"
    newer.ack(command, "done", step=1)
    newer.send(status("stopped"))
    assert newer.get()["status"] == "stopped"
    assert [one["kind"] for one in older.send()["commands"]] == ["stop"], (
        "it trains on, so it hears"
    )
    older.send(status("stopped"))
    assert newer.get()["still_training"] == []
    assert stop(newer) == 409


def test_a_superseded_trainer_can_be_stopped_after_the_newest_has_ended(
    api: TestClient, clock: Clock
) -> None:
    older = Trainer(api)
    older.send(status("started"), point(1))
    newer = Trainer(api, older.run_id)
    newer.send(status("started"), status("finished"))
    clock.now += 5
    assert older.send()["commands"] == []
    assert newer.get()["status"] == "finished"
    assert stop(newer) == 202
    (command,) = older.send()["commands"]
    older.ack(command, "done", step=7)
    assert [one["state"] for one in newer.get()["commands"]] == ["done"]


def test_a_spool_that_comes_late_is_no_sign_that_its_trainer_lives(
    api: TestClient, clock: Clock
) -> None:
    dead = Trainer(api)
    dead.send(status("started"), point(1))
    newer = Trainer(api, dead.run_id)
    newer.send(status("started"), point(5))
    clock.now += 5
    dead.send(point(2), late=True)
    found = newer.get()
    assert (found["still_training"], found["attempts"][0]["outrun"]) == ([], 0)
    assert newer.series("reward")[0] == [1, 2, 5]


def test_an_offline_run_that_is_synced_has_the_times_and_the_cost_of_its_training(
    api: TestClient, clock: Clock
) -> None:
    began = clock.now - 3 * DAY_S
    trainer = Trainer(api, at=began, late=True, age_s=3 * DAY_S, metadata=PRICED)
    told: dict[str, Any] = {"late": True, "sent_at": clock.now}
    trainer.send({**status("started"), "at": began}, **told)
    trainer.send(*[at(n, began + 60 * (n + 1)) for n in range(240)], **told)
    assert trainer.get()["status"] == "lost", "nobody trains now"
    trainer.send({**status("finished"), "at": began + 4 * 3600}, **told)
    run = trainer.get()
    times = {name: seconds(run[name]) for name in ("created_at", "started_at", "ended_at")}
    assert times == {
        "created_at": began,
        "started_at": began,
        "ended_at": began + 4 * 3600,
    }
    assert seconds(run["last_contact_at"]) == began + 4 * 3600
    assert (run["elapsed_s"], run["spent_usd"]) == (4 * 3600, 12.0)
    now = Trainer(api)
    listed = [one["id"] for one in api.get("/api/v1/runs").json()["runs"]]
    assert listed == [now.run_id, trainer.run_id]


def test_a_run_that_was_synced_is_kept_as_long_as_one_that_was_watched(
    api: TestClient, clock: Clock
) -> None:
    long_ago = 100 * DAY_S
    trainer = Trainer(api, late=True, age_s=long_ago)
    trainer.send({**status("finished"), "at": clock.now - long_ago}, late=True, sent_at=clock.now)
    service = api.app.state.service  # type: ignore[attr-defined]
    with service.database.read() as tx:
        assert deletion.old(tx, clock.now - 90 * DAY_S) == []
        assert deletion.old(tx, clock.now + 1) == [trainer.run_id]


def test_a_night_between_two_attempts_costs_nothing_and_neither_do_beats_after_the_end(
    api: TestClient, clock: Clock
) -> None:
    first = Trainer(api, metadata=PRICED, late=False, age_s=0.0, at=clock.now)
    for step in range(2):
        clock.now += 1800
        first.send(at(step, clock.now), sent_at=clock.now)
    first.send({**status("failed"), "at": clock.now}, sent_at=clock.now)
    ended_at = clock.now
    clock.now += 36_000
    first.send(sent_at=clock.now)
    run = first.get()
    assert (run["elapsed_s"], seconds(run["last_contact_at"])) == (3600, ended_at)
    second = Trainer(api, first.run_id, metadata=PRICED, late=False, age_s=0.0, at=clock.now)
    clock.now += 3600
    second.send(at(2, clock.now), sent_at=clock.now)
    run = second.get()
    assert (run["elapsed_s"], run["spent_usd"]) == (7200, 6.0)
    assert [one["elapsed_s"] for one in run["attempts"]] == [3600, 3600]


@pytest.mark.parametrize("skew_s", [-36_000.0, 36_000.0, -1.8e9])
def test_a_clock_that_is_wrong_moves_nothing(api: TestClient, clock: Clock, skew_s: float) -> None:
    began = clock.now
    trainer = Trainer(api, metadata=PRICED, late=False, age_s=0.0, at=began + skew_s)
    for step in range(4):
        clock.now += 900
        trainer.send(at(step, clock.now + skew_s), sent_at=clock.now + skew_s)
    trainer.send({**status("finished"), "at": clock.now + skew_s}, sent_at=clock.now + skew_s)
    run = trainer.get()
    assert (run["elapsed_s"], run["spent_usd"]) == (3600, 3.0)
    assert (seconds(run["started_at"]), seconds(run["ended_at"])) == (began, clock.now)


@pytest.mark.parametrize("step_s", [-1.8e9, -7200.0, 7200.0, 1.8e9])
def test_a_clock_that_is_set_on_the_way_makes_no_absurd_duration(
    api: TestClient, clock: Clock, step_s: float
) -> None:
    trainer = Trainer(api, metadata=PRICED, late=False, age_s=0.0, at=clock.now)
    for step in range(4):
        clock.now += 900
        off = step_s if step >= 2 else 0.0
        # The first message of the batch was written before the clock was set.
        before = clock.now - 1 + (0.0 if step <= 2 else step_s)
        trainer.send(
            at(2 * step, before), at(2 * step + 1, clock.now + off), sent_at=clock.now + off
        )
    run = trainer.get()
    assert run["elapsed_s"] == 3600


@pytest.mark.parametrize("skew_s", [-36_000.0, 0.0, 36_000.0])
def test_a_client_that_only_tells_the_points_times_has_their_duration(
    api: TestClient, clock: Clock, skew_s: float
) -> None:
    trainer = Trainer(api, metadata=PRICED)
    began = clock.now - 3 * DAY_S + skew_s
    trainer.send(status("started"), *[at(n, began + 60 * n) for n in range(241)])
    trainer.send(status("finished"))
    run = trainer.get()
    assert (run["elapsed_s"], run["spent_usd"]) == (4 * 3600, 12.0)
    assert seconds(run["ended_at"]) == began + 4 * 3600


def test_times_that_are_none_or_lie_ahead_are_not_believed(api: TestClient, clock: Clock) -> None:
    began = clock.now
    trainer = Trainer(api, metadata=PRICED)
    trainer.send(at(1, 0.0), at(2, 5.0))
    clock.now += 60
    trainer.send(point(3))
    assert trainer.get()["elapsed_s"] == 60
    ahead = Trainer(api, metadata=PRICED)
    ahead.send(at(1, began + 50_000), at(2, began + 50_600), status("finished"))
    run = ahead.get()
    assert run["elapsed_s"] == 600
    assert seconds(run["ended_at"]) <= clock.now
    assert seconds(run["started_at"]) == pytest.approx(clock.now - 600)
