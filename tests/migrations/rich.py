"""A database whose jobs are referred to: points, checkpoints, an evaluation with its rows, a verification."""

from fastapi.testclient import TestClient
from sqlalchemy import insert

from cusp.ids import new_id
from monitor.app import create_app
from monitor.database.engine import Database
from monitor.database.schema import verifications
from monitor.settings import MonitorConfig
from tests.messages import Json, Trainer
from tests.monitor.api.routes.test_jobs import claim, ended, scored


def serving(url: str) -> TestClient:
    return TestClient(create_app(MonitorConfig(url)), base_url="http://127.0.0.1:8787")


def fill(url: str) -> tuple[Trainer, Json]:
    """Send it all and return the trainer, and its series as the monitor answers them."""
    with serving(url) as api:
        trainer = ended(api)
        job = claim(api)
        assert job is not None
        candidate = job["payload"]["candidates"][1]
        score = scored(candidate["step"], candidate["checkpoint_id"], 0.5)
        body = {"token": job["token"], "evaluation": score}
        api.post(f"/api/v1/jobs/{job['id']}/evaluations", json=body).raise_for_status()
        series = trainer.get("/series")
    database = Database(url)
    with database.write() as tx:
        tx.execute(insert(verifications).values(_verification(trainer, job["id"])))
    database.close()
    return trainer, series


def _verification(trainer: Trainer, job_id: str) -> Json:
    return {
        "id": new_id(),
        "run_id": trainer.run_id,
        "attempt_id": trainer.attempt_id,
        "job_id": job_id,
        "number": 1,
        "author": "person",
        "reason": "asked",
        "step": 30,
        "evidence": 0.0,
        "suspected": False,
        "candidates": [10],
        "kept_before": [],
        "stages": [32],
        "alpha": 0.05,
        "budget": 100,
        "created_at": 1.0,
    }
