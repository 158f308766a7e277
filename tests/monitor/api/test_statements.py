"""How many SQL statements a page takes: each table is read once, whatever a run has of everything."""

from functools import partial

from fastapi.testclient import TestClient

from cusp.ids import new_id
from cusp.protocol.run import RunStart
from monitor.background.packing import Packing
from monitor.database.engine import Database
from monitor.store import runs
from tests.conftest import Clock
from tests.messages import Trainer, checkpoint, point, status, transition
from tests.monitor.api.routes.test_jobs import claim, scored
from tests.statements import statements_of
from webui.pages import SECTIONS

# Of a long run the verdicts are read first without their evidence. The bar is 12.
OF_PAGE, OF_LONG_PAGE = 10, 11
OF_SECTION = {
    "row": 7,
    "header": 5,
    "proposal": 4,
    "transition": 6,
    "checkpoints": 5,
    "evaluations": 6,
    "cost": 7,
    "decisions": 4,
    "commands": 2,
    "verifications": 3,
    "samples": 4,
    "jobs": 3,
    "roles": 3,
    "marks": 7,
}


def rich_run(api: TestClient, clock: Clock) -> Trainer:
    """A stopped run with several of everything that its page shows."""
    first = Trainer(api, metadata={"gpu_hourly_usd": 2.0, "gpu_count": 1, "max_steps": 500})
    first.send(point(1, format_reward=0.3), {"kind": "unheard of"}, {"kind": "point", "step": "x"})
    clock.now += 30
    trainer = Trainer(api, first.run_id, metadata=first.start["metadata"])
    for command in transition(trainer):
        trainer.ack(command, "done", step=80)
    for step in (5, 70):
        sample = {"step": step, "prompt": "2+2", "completion": "4", "rewards": {"format": 1.0}}
        trainer.send({"kind": "sample", **sample})
    trainer.send({"kind": "never heard of"}, status("stopped"))
    for checkpoint_id in [row["id"] for row in trainer.get("/checkpoints")["checkpoints"]][:2]:
        api.post(f"/api/v1/checkpoints/{checkpoint_id}/promote", json={}).raise_for_status()
    roles = {"roles": {"accuracy": ["accuracy_reward"], "format": ["format_reward"]}}
    api.patch(f"/api/v1/runs/{trainer.run_id}", json=roles).raise_for_status()
    job = claim(api)
    assert job is not None
    for candidate in job["payload"]["candidates"]:
        score = scored(candidate["step"], candidate["checkpoint_id"], 0.5)
        body = {"token": job["token"], "evaluation": score}
        api.post(f"/api/v1/jobs/{job['id']}/evaluations", json=body).raise_for_status()
    comparison = {
        "task": "tiny-arithmetic",
        "split": "report",
        "reference": {"role": "last", "step": job["payload"]["candidates"][-1]["step"]},
        "best": {"roles": ["last"], "step": job["payload"]["candidates"][-1]["step"]},
        "reason": "the best of all",
        "rows": [],
    }
    ending = {"token": job["token"], "state": "done", "result": {"comparison": comparison}}
    api.post(f"/api/v1/jobs/{job['id']}/finish", json=ending).raise_for_status()
    return trainer


def test_the_page_of_a_run_reads_each_table_once(api: TestClient, clock: Clock) -> None:
    trainer = rich_run(api, clock)
    run = trainer.get()
    many = ("attempts", "commands", "decisions", "change_points", "quarantine")
    assert {name: len(run[name]) for name in many if len(run[name]) < 2} == {}
    assert (run["quarantined"], len(run["checkpoints"])) == (3, 3)
    assert run["roles"]["told"] != {}
    path = f"/runs/{trainer.run_id}"
    page: list[str] = []
    told = statements_of(api, partial(_read, api, path, page))
    assert len(told) == OF_PAGE, told
    told = statements_of(api, lambda: api.get(f"/api/v1{path}").raise_for_status())
    assert len(told) == 9, told
    assert OF_SECTION.keys() == SECTIONS.keys()
    for name, most in OF_SECTION.items():
        alone: list[str] = []
        section = f"{path}/sections/{name}"
        told = statements_of(api, partial(_read, api, section, alone))
        assert len(told) == most, (name, told)
        assert name == "row" or alone[0].strip() in page[0], name


def _read(api: TestClient, path: str, into: list[str]) -> None:
    into.append(api.get(path).raise_for_status().text)


def test_the_page_of_a_long_run_takes_as_few(api: TestClient, clock: Clock) -> None:
    trainer = rich_run(api, clock)
    trainer.send(*(point(step, format_reward=0.5, other=step) for step in range(100, 3_000, 10)))
    database: Database = api.app.state.service.database  # type: ignore[attr-defined]
    Packing(database).turn()
    told = statements_of(api, partial(_read, api, f"/runs/{trainer.run_id}", []))
    assert sum("FROM blocks" in one for one in told) == 1
    assert sum("FROM verdicts" in one for one in told) == 2
    assert len(told) == OF_LONG_PAGE, told


def test_a_list_of_500_runs_takes_as_many_statements_as_one_of_5(
    api: TestClient, clock: Clock
) -> None:
    with api.app.state.service.database.write() as tx:  # type: ignore[attr-defined]
        for number in range(495):
            start = RunStart(run_id=new_id(), attempt_id=new_id(), name=f"seed-{number}")
            runs.announce(tx, start, clock.now - number)
    for _ in range(4):
        clock.now += 1
        trainer = Trainer(api)
        trainer.send(point(1, format_reward=0.5), checkpoint(1))
        checkpoint_id = trainer.get("/checkpoints")["checkpoints"][0]["id"]
        api.post(f"/api/v1/checkpoints/{checkpoint_id}/promote", json={}).raise_for_status()
    rich_run(api, clock)
    asked = {
        limit: statements_of(api, partial(_read, api, f"/api/v1/runs?limit={limit}", []))
        for limit in (5, 500)
    }
    assert len(asked[500]) == len(asked[5]) <= 10, asked
    assert api.get("/api/v1/runs", params={"limit": 500}).json()["total"] == 500
