"""A new training by the form of the runs page, in a real browser against a real monitor."""

from playwright.sync_api import Page, expect

from cusp.client import Client
from cusp.settings import Settings
from tests.conftest import MonitorProcess


def test_a_training_is_submitted_with_what_a_worker_knows_and_cancelled(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    page.goto(monitor_process.url)
    page.locator("#trainings summary").click()
    expect(page.locator("#no-workers")).to_contain_text("No worker has been heard of")
    expect(page.locator("#new-training")).to_be_hidden()
    page.route("**/api/v1/trainings", lambda route: route.abort(), times=1)

    with Client(Settings(url=monitor_process.url, token=monitor_process.token)) as client:
        told = {"name": "w-1", "box": "l40s", "gpus": 2, "recipes": ["tiny", "<i>smol"]}
        client.post("/workers", told)  # seen though a request failed, without another click
        form = page.locator("#new-training")
        expect(form.locator("[name=recipe] option")).to_have_text(["<i>smol", "tiny"])
        expect(form.locator("[name=box] option")).to_have_text(["the next free one", "l40s"])
        form.locator("[name=recipe]").select_option("tiny")
        form.locator("[name=box]").select_option("l40s")
        form.locator("[name=overrides]").fill("seed=3\n\n grpo.max_steps=4 ")
        form.get_by_role("button", name="Train").click()
        expect(page.locator("#said")).to_contain_text("Training tiny is queued")
        row = page.locator("#trainings tbody tr")
        expect(row).to_contain_text("waiting for a worker")
        (asked,) = client.get("/trainings")["trainings"]
        assert asked["submitted"]["overrides"] == ["seed=3", "grpo.max_steps=4"]
        assert (asked["submitted"]["box"], asked["submitted"]["processes"]) == ("l40s", None)

        claim = {"worker": "w-1", "kinds": ["train"], "runs": [asked["run_id"]]}
        job = client.post("/jobs/claim", claim)
        beat = {"token": job["token"], "progress": {"done": 0, "total": 0, "text": "starting tiny"}}
        client.post(f"/jobs/{job['id']}/heartbeat", beat)
        expect(row).to_contain_text("at work")
        expect(row).to_contain_text("w-1")
        expect(row).to_contain_text("starting tiny")
        failed = {"token": job["token"], "state": "failed", "error": "grpo.max_stops is no key"}
        client.post(f"/jobs/{job['id']}/finish", failed)
        expect(row).to_contain_text("grpo.max_stops is no key")

        form.get_by_role("button", name="Train").click()
        page.get_by_role("button", name="Cancel the training tiny").click()
        expect(page.locator("#said")).to_contain_text("The training is cancelled")
        expect(row.first).to_contain_text("cancelled by person")

        form.get_by_role("button", name="Train").click()
        expect(row.first).to_contain_text("waiting for a worker")
        (held, *_) = client.get("/trainings")["trainings"]
        client.post("/jobs/claim", {**claim, "runs": [held["run_id"]]})
        expect(row.first).to_contain_text("at work")
        page.get_by_role("button", name="Cancel the training tiny").click()
        expect(row.first).to_contain_text("cancelled by person")
        row.first.get_by_role("link", name="Log of the training tiny").click()
        expect(page.locator("h1 + span .pill")).to_have_text("cancelled")
