"""Times on the pages: in the reader's zone, which is named, UTC on hover; exports stay UTC."""

import re

from playwright.sync_api import Browser, expect

from tests.browser.conftest import as_a_person
from tests.conftest import MonitorProcess
from tests.messages import Trainer, point

SHOWN = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d GMT\+5:45$")
UTC = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$")


def test_times_are_the_readers_with_the_zone_named_and_utc_on_hover(
    browser: Browser, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    with monitor_process.client() as client:
        trainer = Trainer(client)  # type: ignore[arg-type]
        trainer.send(*[point(step) for step in range(1, 4)])
        client.post(f"/api/v1/runs/{trainer.run_id}/stop").raise_for_status()
    context = browser.new_context(timezone_id="Asia/Kathmandu")
    page = as_a_person(context.new_page())
    page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
    asked = page.locator("#section-decisions time").first
    expect(asked).to_have_text(SHOWN)
    expect(asked).to_have_attribute("title", UTC)
    iso = asked.get_attribute("datetime")
    assert iso is not None
    there = page.evaluate(
        "iso => new Date(iso).toLocaleTimeString('sv-SE', {timeZone: 'Asia/Kathmandu'})", iso
    )
    assert there in asked.inner_text()
    contact = page.locator("[data-f=last_contact] time").first
    expect(contact).to_have_text(re.compile("ago|just now"))
    expect(contact).to_have_attribute("title", re.compile(r"GMT\+5:45, .* UTC$"))
    page.get_by_role(
        "button", name="Edit"
    ).first.click()  # parts are fetched again: their times follow
    page.fill("#describe-dialog [name=name]", "renamed")
    page.locator("#describe-dialog [data-confirm]").click()
    expect(page.locator("h1")).to_contain_text("renamed")
    for shown in page.locator("#section-decisions time:not([data-after])").all():
        expect(shown).to_have_text(SHOWN)
    report = page.request.get(f"{monitor_process.url}/runs/{trainer.run_id}/report.html").text()
    assert " UTC" in report
    assert "GMT" not in report
    context.close()
