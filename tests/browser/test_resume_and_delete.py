"""Resuming, deleting and restoring by the buttons, in a real browser against a real monitor."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import cusp
from tests.conftest import MonitorProcess


@pytest.fixture
def monitor(monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch) -> MonitorProcess:
    monitor_process.start()
    monkeypatch.setenv("CUSP_URL", monitor_process.url)
    monkeypatch.setenv("CUSP_DIR", str(monitor_process.folder))
    return monitor_process


def ended(name: str, metadata: cusp.RunMetadata) -> str:
    """Return the id of a run that was stopped after 40 steps with two checkpoints."""
    run = cusp.init("browser", name, metadata=metadata, policy=cusp.Policy(evaluate="none"))
    for step in range(1, 41):
        run.log({"format_reward": 0.9, "completion_length": 60.0, "accuracy_reward": 0.5}, step)
        if step % 20 == 0:
            save(run.root / f"checkpoint-{step}")
            run.checkpoint(run.root / f"checkpoint-{step}", step)
    assert run.finish("stopped", "enough")
    return run.id


def save(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "adapter_model.safetensors").write_bytes(b"weights")


def test_a_stopped_run_is_resumed_from_the_checkpoint_chosen_and_says_why_it_is_not_evaluated(
    page: Page, monitor: MonitorProcess
) -> None:
    run_id = ended("resumable", cusp.RunMetadata(recipe=True, evaluable=False))
    page.goto(f"{monitor.url}/runs/{run_id}")
    expect(page.locator("#section-header")).to_contain_text("no evaluation section")
    expect(page.locator('#section-header [data-action="evaluate"]')).to_be_disabled()
    page.locator('#section-header [data-action="resume"]').click()
    expect(page.locator("#resume-dialog option")).to_have_text(
        ["where it ended", "checkpoint 40", "checkpoint 20"]
    )
    page.locator("#resume-dialog select").select_option("20")
    page.locator('[data-confirm="resume"]').click()
    expect(page.locator("#said")).to_contain_text("Resume from checkpoint 20 is queued")
    expect(page.locator("#section-jobs")).to_contain_text("waiting for a worker")
    (job,) = monitor.get("/jobs", run_id=run_id)["jobs"]
    assert (job["kind"], job["state"]) == ("train", "queued")


def test_a_run_is_deleted_and_restored_from_the_list(page: Page, monitor: MonitorProcess) -> None:
    run_id = ended("<b>doomed</b>", cusp.RunMetadata(recipe=False, evaluable=False))
    page.goto(f"{monitor.url}/runs/{run_id}")
    expect(page.locator('#section-header [data-action="resume"]')).to_be_disabled()
    expect(page.locator("#section-header")).to_contain_text("not started with `cusp train`")
    page.locator('#section-header [data-action="delete"]').click()
    page.locator('[data-confirm="delete"]').click()
    page.wait_for_url(f"{monitor.url}/#deleted")
    row = page.locator(f'tr[data-deleted="{run_id}"]')
    expect(row).to_contain_text("<b>doomed</b>")
    expect(page.locator(f'tr[data-run="{run_id}"]')).to_have_count(0)
    assert monitor.get("/runs")["runs"] == []
    row.get_by_role("button", name="Restore").click()
    expect(page.locator("#none-deleted")).to_be_visible()
    expect(page.locator(f'tr[data-run="{run_id}"]')).to_be_visible()
    assert [run["id"] for run in monitor.get("/runs")["runs"]] == [run_id]


def test_the_buttons_and_the_list_fit_a_phone(page: Page, monitor: MonitorProcess) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    run_id, gone = (ended(name, cusp.RunMetadata(recipe=False)) for name in ("one", "two"))
    for path in (f"/runs/{run_id}", f"/runs/{gone}", "/#deleted"):
        page.goto(monitor.url + path)
        if gone in path:
            page.locator('#section-header [data-action="delete"]').click()
            page.locator('[data-confirm="delete"]').click()
        if path != f"/runs/{run_id}":
            expect(page.locator(f'tr[data-deleted="{gone}"]')).to_be_visible()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, path
