"""The cost of a run over REST and on its page, and a price that is told later."""

from fastapi.testclient import TestClient

from tests.conftest import Clock
from tests.messages import Trainer, checkpoint, point, status
from tests.monitor.api.routes.test_jobs import claim, scored

KNOWN = {"gpu_count": 2, "max_steps": 100, "model_parameters": 1_000, "flops_per_token": 8_000.0}


def test_a_price_told_later_counts_for_the_whole_run_and_its_evaluation(
    api: TestClient, clock: Clock
) -> None:
    trainer = Trainer(api, metadata=KNOWN)
    trainer.send(point(1, tokens=50.0), checkpoint(1))
    clock.now += 3_600
    trainer.send(point(50, tokens=2_500.0), status("stopped"))
    before = trainer.get("/cost")
    assert before["training"] == {
        "gpu_hours": 2.0,
        "usd": None,
        "tokens": 2_500.0,
        "flops": 2.0e7,
    }
    assert before["saved"]["flops"] == 2.0e7
    job = claim(api)
    assert job is not None
    clock.now += 1_800
    for split in ("selection", "report"):
        score = scored(1, job["payload"]["candidates"][-1]["checkpoint_id"], 0.5, split)
        body = {"token": job["token"], "evaluation": score}
        api.post(f"/api/v1/jobs/{job['id']}/evaluations", json=body).raise_for_status()
    ending = {"token": job["token"], "state": "failed", "error": "enough"}
    api.post(f"/api/v1/jobs/{job['id']}/finish", json=ending).raise_for_status()
    path = f"/api/v1/runs/{trainer.run_id}"
    told = api.patch(path, json={"gpu_hourly_usd": 1.5})
    assert (told.status_code, told.json()["spent_usd"]) == (200, 3.0)
    found = trainer.get("/cost")
    assert (found["training"]["usd"], found["saved"]["usd"]) == (3.0, 3.0)
    assert found["evaluation"] == {
        "gpu_hours": 0.5,
        "usd": 0.75,
        "tokens": 50.0,
        "flops": 100_000.0,
    }
    assert found["total"]["usd"] == 3.75
    assert found["per_step"]["usd"] == 0.06
    page = api.get(f"/runs/{trainer.run_id}").text
    assert "Saved by the stop" in page
    assert "$3.75" in page
    assert "20.10 MFLOP" in page
    again = Trainer(api, trainer.run_id, metadata={**KNOWN, "gpu_hourly_usd": None})
    assert again.get()["metadata"]["gpu_hourly_usd"] == 1.5, "a resume keeps what was told"
    assert api.patch(path, json={"gpu_hourly_usd": -1}).status_code == 422


def test_the_run_and_its_cost_tell_the_same_also_beyond_its_steps_and_for_nothing(
    api: TestClient, clock: Clock
) -> None:
    for price, spent in ((1.5, 3.0), (0.0, 0.0)):
        trainer = Trainer(api, metadata={**KNOWN, "gpu_hourly_usd": price})
        trainer.send(point(1))
        clock.now += 3_600
        trainer.send(point(120), status("stopped"))
        run, found = trainer.get(), trainer.get("/cost")
        assert (run["spent_usd"], found["training"]["usd"]) == (spent, spent)
        assert (run["saved_usd"], found["saved"]["usd"]) == (0.0, 0.0), "never negative"
        page = api.get(f"/runs/{trainer.run_id}").text
        assert f"2 GPUs at ${price:.2f} an hour" in page


def test_an_evaluation_whose_worker_is_gone_costs_no_more_than_its_lease(
    api: TestClient, clock: Clock
) -> None:
    trainer = Trainer(api, metadata=KNOWN)
    trainer.send(point(1), checkpoint(1), status("finished"))
    assert claim(api) is not None
    clock.now += 36
    assert trainer.get("/cost")["evaluation"]["gpu_hours"] == 0.01
    clock.now += 7_200
    assert trainer.get("/cost")["evaluation"]["gpu_hours"] == round(60 / 3_600, 6)
