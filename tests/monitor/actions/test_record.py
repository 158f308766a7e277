"""Every act writes its audit row, its rows of the feed and its webhooks, and wakes the run's viewers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from cusp.ids import new_id
from monitor.actions.record import EVENTS
from monitor.app import create_app
from monitor.background.expiry import expire_overdue
from monitor.services import Service
from monitor.settings import MonitorConfig
from monitor.store.access import webhooks
from monitor.webhooks.outbox import TOPICS
from tests.conftest import Clock
from tests.messages import Json, Trainer, checkpoint, point, status, transition
from tests.monitor.api.routes.test_jobs import claim, scored

Rows = tuple[list[str], list[str], list[str]]
ENDED_JOB = ["jobs", "evaluations", "checkpoints", "cost", "run"]


@pytest.fixture
def api(database_url: str, clock: Clock) -> Iterator[TestClient]:
    """A monitor on each database whose threads do not run, with a webhook for everything."""
    app = create_app(MonitorConfig(database_url))
    app.state.service.clock = clock
    app.state.service.ingest._clock = clock
    row: Json = {
        "id": new_id(),
        "url": "https://hooks.example/",
        "topics": sorted(TOPICS),
        "project": None,
    }
    row |= {"secret": "whsec_x", "created_at": clock(), "created_by": "person"}
    with app.state.service.database.write() as tx:
        webhooks.add(tx, row)
    yield TestClient(app, base_url="http://127.0.0.1:8787")
    app.state.service.database.close()


class Written:
    """What was written since it last looked: audit rows, feed rows, webhooks; and who was woken."""

    def __init__(self, api: TestClient, run_id: str | None = None) -> None:
        service: Service = api.app.state.service  # type: ignore[attr-defined]
        self.database, self.run_id = service.database, run_id
        self._woken: set[str] = {run_id or ""}
        self._seen = [0, 0, 0]
        service.database.on_commit = self._woken.update
        self.new()

    def new(self) -> Rows:
        """Return `action by actor: names in detail`, the feed's rows, `topic: names in data`, as text.

        Whoever looks at the run was woken if there is anything new to see.
        """
        only = "WHERE run_id = :run" if self.run_id else "WHERE run_id IS NULL"
        asked = [
            f"SELECT action, actor, target, detail FROM audit {only} AND action <> 'request' ORDER BY id",
            f"SELECT kind, ref FROM changes {only} ORDER BY cursor",
            f"SELECT topic, body FROM deliveries {only} ORDER BY id",
        ]
        with self.database.read() as tx:
            given = {"run": self.run_id} if self.run_id else {}
            found = [tx.execute(text(question), given).all() for question in asked]
        new = [rows[seen:] for rows, seen in zip(found, self._seen, strict=True)]
        self._seen = [len(rows) for rows in found]
        audit, feed, told = new
        if self.run_id and (feed or told):
            assert self._woken == {self.run_id}
        self._woken.clear()
        return (
            [f"{row.action} by {row.actor}: {_names(row.detail)}" for row in audit],
            [_change(row.kind, _plain(row.ref)) for row in feed],
            [f"{row.topic}: {_names(_plain(row.body)['data'])}" for row in told],
        )


def _plain(value: Any) -> Json:
    return dict(json.loads(value) if isinstance(value, str) else value)


def _names(value: Any) -> str:
    return " ".join(sorted(set(_plain(value)) - {"from"}))


def _change(kind: str, ref: Json) -> str:
    return str(ref["section"]) if kind == "changed" else kind


def post(api: TestClient, path: str, expected: int = 200, **body: Any) -> Json:
    answer = api.post(f"/api/v1{path}", json=body)
    assert answer.status_code == expected, answer.text
    return dict(answer.json())


def saved(api: TestClient) -> tuple[Trainer, str, Written]:
    """Return a run that trains and has one checkpoint."""
    trainer, one = Trainer(api, policy={"evaluate": "none"}), new_id()
    trainer.send(point(1), checkpoint(10, one))
    return trainer, one, Written(api, trainer.run_id)


def over(api: TestClient) -> tuple[Trainer, str, Written]:
    """Return such a run that has finished, and that a worker can evaluate."""
    trainer, one, written = saved(api)
    trainer.send(status("finished"))
    written.new()
    return trainer, one, written


def claimed(api: TestClient) -> Json:
    job = claim(api)
    assert job is not None
    return job


def test_every_topic_of_webhooks_is_an_event() -> None:
    told = {name for name, event in EVENTS.items() if event.webhook}
    assert told | {"run.lost"} == set(TOPICS)  # of that the courier tells


def test_a_stop_and_its_end(api: TestClient) -> None:
    trainer, _, written = saved(api)
    post(api, f"/runs/{trainer.run_id}/stop", 202)
    assert written.new() == (["stop by person: mode reason"], ["commands", "run"], [])
    (command,) = trainer.send()["commands"]
    trainer.ack(command, "done", step=3)
    told = ["stop.done: author command_id reason step"]
    assert written.new() == ([], ["commands", "run"], told)


def test_a_promotion_while_the_run_trains_and_after(api: TestClient) -> None:
    trainer, one, written = saved(api)
    audit = ["promote by person: alias previous step"]
    told = ["checkpoint.promoted: alias author checkpoint_id previous step"]
    post(api, f"/checkpoints/{one}/promote")
    assert written.new() == (audit, ["commands", "checkpoints", "run"], told)
    trainer.send(status("finished"))
    written.new()
    post(api, f"/checkpoints/{one}/promote", alias="other")
    assert written.new() == (audit, ["checkpoints", "run"], told)


def test_a_pin_and_what_a_box_found(api: TestClient) -> None:
    _, one, written = saved(api)
    post(api, f"/checkpoints/{one}/pin", 202)
    assert written.new() == (["pin by person: "], ["commands"], [])
    report: Json = {"state": "present", "sha256": f"{10:064x}"}
    post(api, f"/checkpoints/{one}/check", **report)
    assert written.new() == ([], ["checkpoints"], [])
    post(api, f"/checkpoints/{one}/check", **{**report, "state": "missing"})
    assert written.new() == (["check by person: state step was"], ["checkpoints"], [])


def test_told_roles(api: TestClient) -> None:
    trainer, _, written = saved(api)
    answer = api.patch(f"/api/v1/runs/{trainer.run_id}", json={"roles": {"format": ["reward"]}})
    assert answer.status_code == 200, answer.text
    feed = ["rewind", "verdicts", "roles", "decisions", "run"]
    assert written.new() == (["roles by person: before roles"], feed, [])


def test_a_job_from_asking_to_its_end(api: TestClient) -> None:
    trainer, one, written = over(api)
    post(api, f"/runs/{trainer.run_id}/evaluate", 202)
    assert written.new() == (["evaluate by person: "], ["jobs"], [])
    job = claimed(api)
    path, token = f"/jobs/{job['id']}", job["token"]
    assert written.new() == ([], ["jobs"], [])
    post(api, f"{path}/heartbeat", token=token)
    assert written.new() == ([], [], [])
    post(api, f"{path}/heartbeat", token=token, progress={"done": 1, "total": 2})
    assert written.new() == ([], ["jobs"], [])
    post(api, f"{path}/evaluations", token=token, evaluation=scored(10, one, 0.5))
    assert written.new() == ([], ["evaluations", "checkpoints"], [])
    comparison = {
        "task": "t",
        "split": "report",
        "reference": {"role": "last", "step": 10},
        "best": {"roles": ["ladder"], "step": 10},
        "reason": "best of all",
        "rows": [],
    }
    post(api, f"{path}/finish", token=token, state="done", result={"comparison": comparison})
    assert written.new() == (
        ["promote by policy: alias previous reason step"],
        ["checkpoints", *ENDED_JOB],
        [
            "checkpoint.promoted: alias author checkpoint_id previous reason step",
            "evaluation.done: best job_id reason",
        ],
    )


def test_a_job_that_failed_and_one_that_is_given_up(api: TestClient, clock: Clock) -> None:
    trainer, _, written = over(api)
    post(api, f"/runs/{trainer.run_id}/evaluate", 202)
    job = claimed(api)
    written.new()
    body: Json = {"token": job["token"], "state": "failed", "error": "no GPU"}
    post(api, f"/jobs/{job['id']}/finish", **body)
    assert written.new() == ([], ENDED_JOB, ["evaluation.failed: error job_id"])
    post(api, f"/runs/{trainer.run_id}/evaluate", 202)
    for _ in range(3):
        claimed(api)
        clock.now += 61
    written.new()
    expire_overdue(written.database, clock())
    assert written.new() == ([], ["jobs"], ["evaluation.failed: error job_id"])


def test_a_resume(api: TestClient) -> None:
    trainer, _, written = saved(api)
    trainer.send(status("failed", reason="power"))
    written.new()
    post(api, f"/runs/{trainer.run_id}/resume", 202)
    assert written.new() == (["resume by person: job step"], ["jobs", "run"], [])


def test_deleting_restoring_and_purging(api: TestClient) -> None:
    trainer, _, written = over(api)
    run, feed = f"/api/v1/runs/{trainer.run_id}", ["decisions", "run"]
    deleted = (["delete by person: bytes checkpoints pinned"], feed, ["run.deleted: author"])
    assert api.delete(run).status_code == 200
    assert written.new() == deleted
    assert api.post(f"{run}/restore").status_code == 200
    assert written.new() == (["restore by person: "], feed, ["run.restored: author"])
    assert api.delete(run).status_code == 200
    assert written.new() == deleted
    assert api.post(f"{run}/purge").status_code == 202
    audit = ["purge by person: bytes checkpoints paths pinned"]
    assert written.new() == (audit, [], ["run.purged: author"])


def test_a_transition_and_the_end_of_its_run(api: TestClient, clock: Clock) -> None:
    trainer = Trainer(api)
    written = Written(api, trainer.run_id)
    transition(trainer)
    audit, feed, told = written.new()
    assert audit == [
        "promote by policy: alias previous reason step",
        "keep by policy: checkpoint_step reason step",
        "stop by policy: checkpoint_step reason step",
    ]
    end = len(feed) - feed[::-1].index("commands")
    acted = ["run", "checkpoints", "decisions", "commands", "decisions", "commands"]
    assert feed[end - 6 : end] == acted
    assert told == [
        "transition.found: transition words",
        "checkpoint.promoted: alias author checkpoint_id previous reason step",
    ]
    clock.now += 100_000
    expire_overdue(written.database, clock())
    assert written.new() == ([], ["commands", "run"], [])
    trainer.send(status("stopped"))
    audit, feed, told = written.new()
    assert audit[-1] == "evaluate by policy: "
    assert feed[-2:] == ["jobs", "decisions"]
    assert told == ["run.ended: elapsed_s ended_at reason status step"]


def test_a_proposal_is_shown_and_not_an_act(api: TestClient) -> None:
    trainer = Trainer(api, policy={"action": "propose"})
    written = Written(api, trainer.run_id)
    transition(trainer, steps=90)
    audit, feed, _ = written.new()
    assert [line.split()[0] for line in audit] == ["promote", "keep"]
    assert (feed.count("decisions"), feed.count("commands")) == (2, 1)


def test_a_word_on_a_change_point(api: TestClient) -> None:
    trainer = Trainer(api)
    transition(trainer)
    written = Written(api, trainer.run_id)
    found = trainer.get("/change-points")["change_points"][0]
    path = f"/api/v1/change-points/{found['id']}"
    assert api.patch(path, json={"state": "dismissed"}).status_code == 200
    assert written.new() == (["dismissed by person: kind step"], ["change_points"], [])


def test_tokens_and_webhooks_have_their_audit_rows(api: TestClient) -> None:
    written = Written(api)
    made = post(api, "/tokens", 201, name="one", scopes=["read"])
    assert written.new() == (["create token by person: name project run_id scopes"], [], [])
    assert api.delete(f"/api/v1/tokens/{made['id']}").status_code == 200
    assert written.new() == (["revoke token by person: name"], [], [])
    hook = f"/webhooks/{post(api, '/webhooks', 201, url='https://1.1.1.1/')['id']}"
    assert written.new() == (["add webhook by person: host topics"], [], [])
    ping = post(api, f"{hook}/test", 202)
    assert written.new() == (["test webhook by person: "], [], ["ping: author"])
    with written.database.write() as tx:
        tx.execute(text("UPDATE deliveries SET state = 'dead'"))
    post(api, f"{hook}/deliveries/{ping['id']}/retry", 202)
    assert written.new() == (["retry delivery by person: "], [], [])
    assert api.delete(f"/api/v1{hook}").status_code == 200
    assert written.new() == (["remove webhook by person: "], [], [])


def test_an_announced_run_and_its_next_attempt(api: TestClient) -> None:
    run_id = new_id()
    written = Written(api, run_id)
    Trainer(api, run_id)
    assert written.new() == ([], ["run"], ["run.started: "])
    Trainer(api, run_id)
    assert written.new() == ([], ["commands", "run"], [])
