"""Jobs of a worker on the monitor's pages: its log as it grows, and an evaluation that a person cancels."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from cusp.checkpoints import manifest
from cusp.ids import new_id
from tests.browser.conftest import TOKEN
from tests.browser.test_barriers import TAGS
from tests.conftest import MonitorProcess
from tests.messages import Trainer, checkpoint, point, status
from tests.small import SMALL
from tests.waiting import wait_until
from trainer.jobs.client import MonitorClient
from trainer.recipe_loader import load_recipe
from trainer.train import train
from trainer.worker import Worker

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and peft, not ours


@pytest.fixture
def trained(
    monitor_process: MonitorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Trainer]:
    """A run that was trained here, with two real checkpoints, which the monitor knows."""
    monitor_process.start()
    with monkeypatch.context() as env:
        env.setenv("CUSP_DIR", str(tmp_path / "cusp"))
        env.setenv("CUSP_MODE", "offline")
        run_id = new_id()
        root = tmp_path / "cusp" / "runs" / run_id
        train(load_recipe("tiny", list(SMALL)), root, run_id=run_id, progress=lambda _: None)
    with monitor_process.client() as client:
        told = {"evaluable": True, "recipe": True}
        trainer = Trainer(client, run_id=run_id, name="evaluated", metadata=told)  # type: ignore[arg-type]
        trainer.send(*[point(step) for step in range(1, 5)])
        for step in (2, 4):
            there = manifest.read_manifest(root / f"checkpoint-{step}")
            assert there is not None
            same = {"checkpoint_id": there.checkpoint_id, "sha256": there.sha256}
            trainer.send(checkpoint(step) | same | {"path": f"checkpoint-{step}"})
        trainer.send(status("finished"))
        yield trainer
    shutil.rmtree(tmp_path / "cusp", ignore_errors=True)


def test_an_evaluation_is_read_while_it_runs_and_cancelled_and_its_rows_stay(
    page: Page, monitor_process: MonitorProcess, trained: Trainer, tmp_path: Path, patience: None
) -> None:
    url = monitor_process.url
    own = f"/api/v1/runs/{trained.run_id}"
    # Seconds of work for each candidate: only a person ends it.
    long = {"samples_per_problem": 1024}
    with monitor_process.client() as client:
        for job in client.get("/api/v1/jobs").json()["jobs"]:
            client.post(f"/api/v1/jobs/{job['id']}/cancel").raise_for_status()
        asked = client.post(f"{own}/evaluate", json=long)
        asked.raise_for_status()
        job_id = asked.json()["id"]
    page.goto(f"{url}/runs/{trained.run_id}")
    section = page.locator("#section-jobs")
    expect(section.locator(f'[data-job="{job_id}"]')).to_contain_text("waiting for a worker")
    stopping = threading.Event()
    said: list[str] = []
    client_of_worker = MonitorClient(url, TOKEN, stopping)
    worker = Worker(client_of_worker, tmp_path / "cusp", stopping, said.append, "box-1")
    working = threading.Thread(target=worker.work, kwargs={"once": True}, daemon=True)
    working.start()
    try:
        expect(section).to_contain_text("at work")
        section.get_by_role("link", name="Log of the evaluate job").click()
        expect(page.locator("h1")).to_have_text("Evaluate job")
        expect(page.locator("pre.tail")).to_contain_text("to generate:")
        expect(page.locator("#renewed")).to_contain_text("completions")
        wait_until(lambda: any("pass@1" in line for line in said), 120)
        expect(page.locator("pre.tail")).to_contain_text("pass@1")
        page.get_by_role("button", name="Cancel …").click()
        expect(page.locator("#sure-words")).to_contain_text("What it brought so far stays")
        page.click("#sure-go")
        expect(page.locator("#said")).to_have_text("Its worker is asked to end it.")
        expect(page.locator("h1 + span .pill")).to_have_text("cancelled")
        expect(page.locator("pre.tail")).to_contain_text("cancelled by person")
    finally:
        stopping.set()
        working.join(timeout=60)
        client_of_worker.close()
    assert any("failed: cancelled by person" in line for line in said), said
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    stored = httpx.get(f"{url}{own}/evaluations", headers=bearer).json()["evaluations"]
    assert stored, "what it brought stays"
    page.goto(f"{url}/jobs")
    row = page.locator(f'tr[data-job="{job_id}"]')
    expect(row).to_contain_text("cancelled")
    expect(row.get_by_role("button")).to_have_count(0)
    page.goto(f"{url}/runs/{trained.run_id}")
    expect(section.locator(f'[data-job="{job_id}"]')).to_contain_text("cancelled by person")


def test_a_log_of_anything_is_text_on_a_phone_and_follows_its_end(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    hostile = "<img src=x onerror=window.hurt=1>" + "x" * 400
    with monitor_process.client() as client:
        trainer = Trainer(client, metadata={"evaluable": True, "recipe": True})  # type: ignore[arg-type]
        trainer.send(point(1), checkpoint(1))
        client.post(f"/api/v1/runs/{trainer.run_id}/evaluate").raise_for_status()
        job = client.post("/api/v1/jobs/claim", json={"worker": "w", "kinds": ["evaluate"]}).json()
        beat = f"/api/v1/jobs/{job['id']}/heartbeat"
        lines = [hostile, *(f"line {n}" for n in range(199))]
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto(f"{monitor_process.url}/jobs/{job['id']}")
        expect(page.locator("#renewed")).to_contain_text("Its worker has written nothing yet.")
        log = {"total": 1_200, "lines": lines}
        client.post(beat, json={"token": job["token"], "log": log}).raise_for_status()
        tail = page.locator("pre.tail")
        expect(tail).to_contain_text("line 198")
        expect(page.locator("#renewed")).to_contain_text("the last 200 of 1,200 lines")
        assert tail.evaluate("el => el.scrollTop + el.clientHeight >= el.scrollHeight - 8")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        tail.evaluate("el => { el.scrollTop = 0; }")
        log = {"total": 1_201, "lines": [*lines[1:], "line 199"]}
        client.post(beat, json={"token": job["token"], "log": log}).raise_for_status()
        expect(tail).to_contain_text("line 199")
        assert tail.evaluate("el => el.scrollTop") == 0, "a person who reads stays where she is"
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = Axe().run(page, None, {"runOnly": TAGS, "resultTypes": ["violations"]})
            assert [one["id"] for one in found.response["violations"]] == []
    assert page.evaluate("window.hurt") is None
