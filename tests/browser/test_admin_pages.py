"""Pages of tokens, webhooks, jobs, projects, settings and the API: used by a person with a token, in a browser."""

import httpx
from playwright.sync_api import Page, expect

from tests.browser.conftest import TOKEN
from tests.conftest import MonitorProcess
from tests.messages import Trainer, point
from tests.receivers import Receiver

HOSTILE = '"><img src=x onerror=alert(1)>'
PATHS = ("/", "/projects", "/jobs", "/settings", "/tokens", "/webhooks", "/docs", "/compare")


def test_a_token_is_made_shown_once_used_and_revoked(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    page.goto(f"{monitor_process.url}/tokens")
    page.fill("#new input[name=name]", HOSTILE)
    page.check("#new input[value=read]")
    page.fill("#new input[name=project]", "tina")
    page.click("#new button[type=submit]")
    expect(page.locator("#once")).to_be_visible()
    token = page.locator("#secret").inner_text()
    row = page.locator("tr[data-token]")
    expect(row).to_contain_text("ingest, read")
    expect(row.locator("th")).to_have_text(HOSTILE)
    bearer = {"Authorization": f"Bearer {token}"}
    url = f"{monitor_process.url}/api/v1/runs"
    assert httpx.get(url, headers=bearer).status_code == 200
    for path in ("/tokens", "/settings", "/webhooks", "/jobs"):
        answer = httpx.get(monitor_process.url + path, headers=bearer)
        assert answer.status_code == 403, path
    assert token not in page.request.get(f"{monitor_process.url}/tokens").text()
    page.reload()
    expect(page.locator("#once")).to_be_hidden()
    row.get_by_role("button").click()
    expect(page.locator("#sure-title")).to_have_text(f"Revoke the token {HOSTILE}?")
    page.click("#sure-go")
    expect(row).to_contain_text("revoked")
    assert httpx.get(url, headers=bearer).status_code == 401


def test_every_page_answers_holds_no_secret_and_lists_what_is_there(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    with monitor_process.client() as client:
        trainer = Trainer(client, name=HOSTILE, project=HOSTILE)  # type: ignore[arg-type]
        trainer.send(point(1))
        presence = {"name": HOSTILE, "box": "gpu-1", "gpus": 2, "recipes": ["tiny"]}
        client.post("/api/v1/workers", json=presence).raise_for_status()
        order = {"recipe": "tiny", "overrides": []}
        client.post("/api/v1/trainings", json=order).raise_for_status()
    page.set_viewport_size({"width": 360, "height": 740})
    for path in PATHS:
        answer = page.goto(monitor_process.url + path)
        assert answer is not None
        assert answer.ok, path
        expect(page.locator("h1").first).to_be_visible()
        assert TOKEN not in page.content(), path
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, (path, wide)
    page.goto(f"{monitor_process.url}/projects")
    expect(page.locator("tbody th")).to_have_text(HOSTILE)
    page.locator("tbody th a").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    page.goto(f"{monitor_process.url}/jobs")
    expect(page.locator("section").first).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Cancel …").click()
    page.click("#sure-go")
    expect(page.locator("#jobs")).to_contain_text("cancelled")
    page.goto(f"{monitor_process.url}/settings")
    expect(page.locator("main")).to_contain_text("sqlite")


def test_the_api_page_asks_this_monitor_under_its_policy(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{monitor_process.url}/docs")
    page.locator("#operations-runs-list_runs_api_v1_runs_get").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    assert all(url.startswith((monitor_process.url, "data:", "blob:")) for url in asked), asked


def test_a_webhook_is_added_tried_and_removed(page: Page, monitor_process: MonitorProcess) -> None:
    monitor_process.settings["CUSP_WEBHOOK_ALLOW"] = "127.0.0.0/8"
    monitor_process.start()
    with Receiver() as receiver:
        page.goto(f"{monitor_process.url}/webhooks")
        page.fill("#new input[name=url]", receiver.url)
        page.click("#new button[type=submit]")
        expect(page.locator("#once")).to_be_visible()
        page.get_by_role("button", name="Send a test").click()
        expect(page.locator("[data-webhook] tbody")).to_contain_text("delivered", timeout=15_000)
        page.get_by_role("button", name="Remove …").click()
        page.click("#sure-go")
        expect(page.locator("[data-webhook]")).to_have_count(0)
