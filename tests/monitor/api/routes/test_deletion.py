"""Deleting a run: hidden and restorable, then purged in chunks, and never back by a late message."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from cusp.ids import new_id
from monitor.actions.delete import DAY_S
from monitor.app import create_app
from monitor.background import retention as retaining
from monitor.background.packing import Packing
from monitor.background.retention import Retention
from monitor.background.summaries import summarise
from monitor.database.schema import metadata
from monitor.services import Service
from monitor.settings import MonitorConfig
from monitor.store import deletion, jobs, runs
from tests.conftest import Clock
from tests.messages import Json, Trainer, checkpoint, point, status, transition
from tests.monitor.api.routes.test_jobs import claim, ended, scored

OF_THE_MONITOR = {"alembic_version", "installation", "session_key", "ended_sessions", "workers"}
KEPT = {"audit", "purged", "tokens", "answers", "webhooks"} | OF_THE_MONITOR


def service_of(api: TestClient) -> Service:
    app: Any = api.app
    service: Service = app.state.service
    return service


@pytest.fixture
def api(database_url: str, clock: Clock) -> Iterator[TestClient]:
    """A monitor on each database whose threads do not run."""
    app = create_app(MonitorConfig(database_url))
    app.state.service.clock = clock
    app.state.service.ingest._clock = clock
    yield TestClient(app, base_url="http://127.0.0.1:8787")
    app.state.service.database.close()


@pytest.fixture
def retention(api: TestClient, clock: Clock) -> Retention:
    """Looks when told to, keeps ended runs for ever."""
    return retention_of(api, clock)


def retention_of(api: TestClient, clock: Clock, keep_days: float | None = None) -> Retention:
    service = service_of(api)
    return Retention(
        service.database,
        clock,
        deleted_days=30.0,
        keep_days=keep_days,
        lost_after_s=60.0,
    )


def over(api: TestClient, **start: Any) -> Trainer:
    """Return a run that has finished."""
    trainer = Trainer(api, policy={"evaluate": "none"}, **start)
    trainer.send(point(1), point(2), checkpoint(2), status("finished"))
    return trainer


def delete(api: TestClient, trainer: Trainer, expected: int = 200, **query: Any) -> Json:
    answer = api.delete(f"/api/v1/runs/{trainer.run_id}", params=query)
    assert answer.status_code == expected, answer.text
    return dict(answer.json())


def act(api: TestClient, trainer: Trainer, what: str, expected: int, **body: Any) -> Json:
    answer = api.post(f"/api/v1/runs/{trainer.run_id}/{what}", json=body)
    assert answer.status_code == expected, answer.text
    return dict(answer.json())


def listed(api: TestClient) -> list[str]:
    return [run["id"] for run in api.get("/api/v1/runs").json()["runs"]]


def restorable(api: TestClient) -> list[str]:
    return [run["run_id"] for run in api.get("/api/v1/deleted-runs").json()["deleted_runs"]]


def counted(api: TestClient) -> dict[str, int]:
    """Return how many rows each table has."""
    with service_of(api).database.read() as tx:
        return {
            name: tx.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in metadata.tables.items()
        }


def test_a_deleted_run_is_hidden_and_comes_back_whole(api: TestClient) -> None:
    trainer, other = over(api), over(api)
    before = trainer.get("/series")
    gone = delete(api, trainer)
    assert (gone["deleted_by"], gone["deleted_at"]) == ("person", "2027-01-15T08:00:00.000Z")
    assert gone["restorable_until"] == "2027-02-14T08:00:00.000Z"
    assert (listed(api), restorable(api)) == ([other.run_id], [trainer.run_id])
    assert trainer.run_id not in api.get("/").text
    assert trainer.get()["deleted_at"] == gone["deleted_at"]
    assert act(api, trainer, "restore", 200)["deleted_at"] is None
    assert set(listed(api)) == {trainer.run_id, other.run_id}
    assert restorable(api) == []
    assert trainer.get("/series") == before
    assert [a["action"] for a in trainer.get("/audit")["audit"]] == ["restore", "delete"]


def test_what_stays_on_the_training_box_is_said(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send(checkpoint(1), checkpoint(2, state="pinned"), checkpoint(3, state="missing"))
    trainer.send(status("finished"))
    said = delete(api, trainer)
    assert said["remains"] == {"checkpoints": 2, "pinned": 1, "bytes": 20}
    assert said["words"].startswith("2 checkpoints (0.0 MB, 1 pinned) stay on the training box")


def test_a_live_run_cannot_be_deleted_and_a_lost_one_can(api: TestClient, clock: Clock) -> None:
    trainer = Trainer(api)
    trainer.send(point(1))
    clock.now += 59
    refused = delete(api, trainer, 409)
    assert "the run is live, its trainer was heard of 59 s ago" in refused["detail"]
    assert f"cusp stop {trainer.run_id}" in refused["detail"]
    clock.now += 2
    delete(api, trainer)


def test_a_run_that_a_worker_is_busy_with_cannot_be_deleted(api: TestClient) -> None:
    trainer = ended(api)
    assert claim(api, "box 7") is not None
    assert "the worker 'box 7' is busy" in delete(api, trainer, 409)["detail"]


def test_a_deletion_waits_for_a_claim_that_is_under_way(api: TestClient) -> None:
    """Both take the run and its job: in another order one of them would be a deadlock's victim."""
    trainer, service, answers = ended(api), service_of(api), []
    with service.database.write() as tx:
        claimed = jobs.claim(tx, "box 7", ["evaluate"], service.clock())
        deletes = threading.Thread(
            target=lambda: answers.append(api.delete(f"/api/v1/runs/{trainer.run_id}")), daemon=True
        )
        deletes.start()
        time.sleep(0.3)
        assert runs.lock(tx, trainer.run_id) is not None
    deletes.join(20)
    assert claimed is not None
    assert [answer.status_code for answer in answers] == [409], answers[0].text
    assert "the worker 'box 7' is busy" in answers[0].json()["detail"]


def test_jobs_that_wait_for_a_deleted_run_are_not_given_to_a_worker(api: TestClient) -> None:
    trainer = ended(api)
    delete(api, trainer)
    assert claim(api) is None
    (job,) = api.get("/api/v1/jobs", params={"run_id": trainer.run_id}).json()["jobs"]
    assert (job["state"], job["error"]) == ("failed", "the run was deleted")


def test_a_promoted_checkpoint_protects_its_run_until_that_is_confirmed(api: TestClient) -> None:
    trainer = over(api)
    (found,) = trainer.get("/checkpoints")["checkpoints"]
    api.post(f"/api/v1/checkpoints/{found['id']}/promote", json={})
    refused = delete(api, trainer, 409)
    assert "production points at a checkpoint of this run" in refused["detail"]
    assert "confirm_promoted" in refused["detail"]
    delete(api, trainer, confirm_promoted=True)
    assert "production" in act(api, trainer, "purge", 409)["detail"]
    act(api, trainer, "purge", 202, confirm_promoted=True)


def test_aliases_that_the_monitor_set_itself_protect_nothing(api: TestClient) -> None:
    trainer = Trainer(api, policy={"evaluate": "none"})
    transition(trainer)
    trainer.send(status("stopped"))
    assert "pre-transition" in trainer.get()["checkpoints"]
    delete(api, trainer)


def test_nothing_is_done_with_a_deleted_run_before_it_is_restored(api: TestClient) -> None:
    trainer = over(api)
    (found,) = trainer.get("/checkpoints")["checkpoints"]
    delete(api, trainer)
    for path in (
        f"/runs/{trainer.run_id}/stop",
        f"/runs/{trainer.run_id}/evaluate",
        f"/checkpoints/{found['id']}/promote",
        f"/checkpoints/{found['id']}/pin",
    ):
        answer = api.post(f"/api/v1{path}", json={})
        assert answer.status_code == 409
        assert f"restore it first (`cusp runs restore {trainer.run_id}`)" in answer.json()["detail"]
    start = {**trainer.start, "attempt_id": new_id()}
    assert api.post("/api/v1/runs", json=start).status_code == 409
    act(api, trainer, "restore", 200)
    assert api.post("/api/v1/runs", json=start).status_code == 200


def test_what_a_lost_trainer_still_sends_is_kept_with_its_deleted_run(
    api: TestClient, clock: Clock, retention: Retention
) -> None:
    trainer = Trainer(api)
    trainer.send(point(1))
    clock.now += 61
    delete(api, trainer)
    clock.now += 20 * DAY_S
    trainer.send(point(2))
    assert listed(api) == []
    clock.now += 20 * DAY_S
    retention.look()
    assert restorable(api) == [trainer.run_id], "it was heard of 20 days ago"
    act(api, trainer, "restore", 200)
    assert trainer.series("reward") == ([1, 2], [1.0, 2.0])


def full(api: TestClient) -> Trainer:
    """Return a run that is over and has rows in every table."""
    trainer = Trainer(api, metadata={"verifies": "training"}, policy={"verify": "off"})
    transition(trainer, steps=25)
    verified = api.post(f"/api/v1/runs/{trainer.run_id}/verifications", json={})
    assert verified.status_code == 202
    commands = transition(trainer, first=26)
    trainer.send(
        {"kind": "boundary", "step": 5},
        {"kind": "sample", "step": 5, "prompt": "p", "completion": "c", "rewards": {}},
        {"kind": "nonsense"},
    )
    trainer.ack(next(c for c in commands if c["kind"] == "stop"), "done", step=80)
    trainer.send(*(point(step, reward=0.5) for step in range(500, 1100)))
    trainer.send(status("stopped"))
    Packing(service_of(api).database).turn()
    summarise(service_of(api).database, trainer.run_id)
    job = claim(api)
    assert job is not None
    path, held = f"/api/v1/jobs/{job['id']}", {"token": job["token"]}
    best = job["payload"]["candidates"][1]
    brought = {**held, "evaluation": scored(best["step"], best["checkpoint_id"], 0.5)}
    assert api.post(f"{path}/evaluations", json=brought).status_code == 200
    problem = {"problem_id": "p1", "question": "2+2", "gold": "4"}
    asked = {"token": job["token"], "task": "tiny-arithmetic", "problems": [problem]}
    assert api.post(f"{path}/problems", json=asked).status_code == 200
    end = {**held, "state": "done", "log": {"total": 1, "lines": ["scored"]}}
    assert api.post(f"{path}/finish", json=end).status_code == 200
    return trainer


def test_a_purge_leaves_no_row_of_the_run_in_any_table(
    api: TestClient, retention: Retention
) -> None:
    Trainer(api).send(point(1, reward=0.5))  # few points, so none of them is in a block yet
    other = full(api)
    alone = counted(api)
    assert {name for name, rows in alone.items() if rows == 0} <= {*KEPT, "deliveries"}
    trainer = full(api)
    trainer.send(point(600, late=1.0))  # later than its block
    grown = {name: rows for name, rows in counted(api).items() if name not in OF_THE_MONITOR}
    assert all(rows > alone[name] for name, rows in grown.items() if alone[name])
    before = other.get("/series")
    delete(api, trainer)
    purged = act(api, trainer, "purge", 202)
    assert purged["remains"]["checkpoints"] > 0
    assert retention.purge() > 500
    left = counted(api)
    for name, rows in left.items():
        assert name in KEPT or rows == alone[name], name
    assert other.get("/series") == before
    acts = [a for a in api.get("/api/v1/audit").json()["audit"] if a["run_id"] == trainer.run_id]
    assert [a["action"] for a in acts[:2]] == ["purge", "delete"]
    assert acts[0]["detail"]["paths"], "the log says which folders were known"


def test_every_table_that_belongs_to_a_run_is_purged() -> None:
    """A table that is added later must not be forgotten."""
    covered = {table.name for table, _ in deletion._parts("x")}
    assert covered == set(metadata.tables) - (KEPT - {"alembic_version"})


def test_late_messages_of_a_purged_run_are_refused_and_bring_nothing_back(
    api: TestClient, clock: Clock, retention: Retention
) -> None:
    trainer = over(api)
    delete(api, trainer)
    act(api, trainer, "purge", 202)
    body = {"attempt_id": trainer.attempt_id, "first_seq": 4, "messages": [point(9)]}
    run = f"/api/v1/runs/{trainer.run_id}"

    def refused() -> None:
        for answer in (
            api.post(f"{run}/batches", json=body),
            api.post("/api/v1/runs", json=trainer.start),
            api.post("/api/v1/runs", json={**trainer.start, "attempt_id": new_id()}),
            api.get(run),
            api.get(f"{run}/series"),
            api.post(f"{run}/restore"),
            api.delete(run),
            api.get(f"/runs/{trainer.run_id}"),
        ):
            assert answer.status_code == 410, answer.text
            assert "was purged by person at 2027-01-15T08:00:00.000Z" in answer.text
        assert "new run" in api.post("/api/v1/runs", json=trainer.start).json()["detail"]
        assert trainer.run_id not in (*listed(api), *restorable(api))

    refused()  # its rows are still there
    retention.purge()
    refused()
    assert counted(api)["runs"] == counted(api)["points"] == 0


def test_only_a_deleted_run_is_purged(api: TestClient) -> None:
    trainer = over(api)
    assert "the run is not deleted" in act(api, trainer, "purge", 409)["detail"]


def test_a_purge_removes_a_few_rows_in_each_transaction_and_lets_others_in(
    api: TestClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, other = Trainer(api, policy={"evaluate": "none"}), Trainer(api)
    trainer.send(*(point(step, a=1.0, b=2.0) for step in range(1, 501)), status("finished"))
    delete(api, trainer)
    act(api, trainer, "purge", 202)
    monkeypatch.setattr(retaining, "CHUNK_ROWS", 100)
    counts: list[int] = []
    points_left: list[int] = []

    def remove_some(*given: Any) -> int:
        counts.append(known(*given))
        return counts[-1]

    def between(_seconds: float) -> bool:
        """Stand in for the pause between two chunks: another run's batch comes in."""
        other.send(point(len(counts)))
        points_left.append(counted(api)["points"] - len(counts))
        return False

    known = deletion.remove_some
    monkeypatch.setattr(deletion, "remove_some", remove_some)
    retention = retention_of(api, clock)
    monkeypatch.setattr(retention.closing, "wait", between)
    assert retention.purge() > 1_000
    assert max(counts) == 100, "one transaction took more"
    assert points_left[:10] == [900, 800, 700, 600, 500, 400, 300, 200, 100, 0]
    assert len(other.series("reward")[0]) == len(points_left)


def test_a_purge_that_was_cut_off_is_finished_by_the_next_monitor(
    api: TestClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = full(api)
    delete(api, trainer)
    act(api, trainer, "purge", 202)
    monkeypatch.setattr(retaining, "CHUNK_ROWS", 50)
    cut_off = retention_of(api, clock)
    monkeypatch.setattr(cut_off.closing, "wait", lambda _s: cut_off.closing.set())
    assert 0 < cut_off.purge() <= 50
    assert retention_of(api, clock).purge() > 400
    assert counted(api)["runs"] == 0
    with service_of(api).database.read() as tx:
        stone = deletion.tombstone(tx, trainer.run_id)
    assert stone is not None
    assert stone.done_at is not None
    assert stone.rows > 450


def test_several_monitors_purge_one_run_together(
    api: TestClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retaining, "CHUNK_ROWS", 50)
    purged = [full(api) for _ in range(2)]
    for trainer in purged:
        delete(api, trainer)
        act(api, trainer, "purge", 202)
    removed: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: removed.append(retention_of(api, clock).purge()), daemon=True
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(removed) == 3, "one of them failed"
    assert counted(api)["runs"] == 0
    with service_of(api).database.read() as tx:
        stones = [deletion.tombstone(tx, trainer.run_id) for trainer in purged]
    assert sum(stone.rows for stone in stones if stone) == sum(removed)


def test_a_deleted_run_is_purged_after_its_days_and_no_sooner(
    api: TestClient, clock: Clock, retention: Retention
) -> None:
    trainer = over(api)
    clock.now += 5 * DAY_S
    delete(api, trainer)
    clock.now += 30 * DAY_S - 1
    retention.look()
    assert restorable(api) == [trainer.run_id]
    clock.now += 2
    retention.look()
    assert restorable(api) == []
    assert counted(api)["runs"] == 0
    (act_, *_) = api.get("/api/v1/audit").json()["audit"]
    assert (act_["action"], act_["actor"], act_["target"]) == ("purge", "policy", trainer.run_id)


def test_old_runs_are_deleted_when_that_is_asked_for_but_not_promoted_or_restored_ones(
    api: TestClient, clock: Clock
) -> None:
    old, promoted, restored = over(api), over(api), over(api)
    (found,) = promoted.get("/checkpoints")["checkpoints"]
    api.post(f"/api/v1/checkpoints/{found['id']}/promote", json={})
    delete(api, restored)
    act(api, restored, "restore", 200)
    clock.now += 100 * DAY_S
    new, live = over(api), Trainer(api)
    retention_of(api, clock).look()
    assert restorable(api) == [], "runs are kept for ever unless told otherwise"
    retention_of(api, clock, keep_days=90).look()
    assert restorable(api) == [old.run_id]
    assert set(listed(api)) == {t.run_id for t in (promoted, restored, new, live)}
    assert api.get(f"/api/v1/runs/{old.run_id}/audit").json()["audit"][0]["actor"] == "policy"


def test_a_repeat_of_a_deletion_acts_once(api: TestClient) -> None:
    trainer = over(api)
    headers = {"Idempotency-Key": "k"}
    path = f"/api/v1/runs/{trainer.run_id}"
    first = api.delete(path, headers=headers)
    act(api, trainer, "restore", 200)
    assert api.delete(path, headers=headers).json() == first.json()
    assert listed(api) == [trainer.run_id], "the repeat deleted it again"
    delete(api, trainer)
    again = delete(api, trainer)
    assert again["deleted_at"] == first.json()["deleted_at"]
    actions = [a["action"] for a in trainer.get("/audit")["audit"]]
    assert actions.count("delete") == 2


def test_viewers_hear_of_a_deletion_and_the_run_says_so(api: TestClient) -> None:
    trainer = over(api)
    before = trainer.get()["cursor"]
    delete(api, trainer)
    assert trainer.get()["cursor"] > before


@pytest.fixture
def guarded(database_url: str) -> Iterator[TestClient]:
    from monitor.app import create_app
    from monitor.settings import MonitorConfig

    key = "the-bootstrap-token-of-a-test"
    client = TestClient(create_app(MonitorConfig(database_url, token=key)))
    client.headers["Authorization"] = f"Bearer {key}"
    yield client
    service_of(client).database.close()


def test_control_deletes_and_only_admin_purges(guarded: TestClient) -> None:
    trainer = over(guarded)
    statuses = {}
    for scope in ("read", "control"):
        made = guarded.post("/api/v1/tokens", json={"name": scope, "scopes": [scope]}).json()
        headers = {"Authorization": f"Bearer {made['token']}"}
        run = f"/api/v1/runs/{trainer.run_id}"
        statuses[scope] = [
            guarded.delete(run, headers=headers).status_code,
            guarded.post(f"{run}/purge", headers=headers).status_code,
            guarded.post(f"{run}/restore", headers=headers).status_code,
        ]
    assert statuses == {"read": [403, 403, 403], "control": [200, 403, 200]}
    assert guarded.get("/api/v1/audit").json()["audit"][0]["actor"] == "control"


def test_a_token_of_one_project_sees_and_deletes_only_its_runs(guarded: TestClient) -> None:
    inside, outside = over(guarded, project="a"), over(guarded, project="b")
    body = {"name": "a", "scopes": ["read", "control"], "project": "a"}
    made = guarded.post("/api/v1/tokens", json=body).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    for trainer, expected in ((inside, 200), (outside, 403)):
        answer = guarded.delete(f"/api/v1/runs/{trainer.run_id}", headers=headers)
        assert answer.status_code == expected
    delete(guarded, outside)
    seen = guarded.get("/api/v1/deleted-runs", headers=headers).json()["deleted_runs"]
    assert [run["run_id"] for run in seen] == [inside.run_id]
    assert guarded.get("/api/v1/audit", headers=headers).status_code == 403
