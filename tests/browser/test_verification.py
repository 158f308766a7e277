"""A verification on the page: asked for with the button, its states live, what was scored, what followed."""

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import MonitorProcess
from tests.messages import Trainer
from tests.monitor.actions.verify.test_verification import METADATA, RIGHT, train, verified

FEW = [1.0, 0.0, 0.0, 0.0] * 16


@pytest.mark.usefixtures("patience")
def test_a_person_has_the_weights_of_now_verified_and_sees_what_follows(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    with monitor_process.client() as client:
        trainer = Trainer(client, metadata=METADATA, name="verified")  # type: ignore[arg-type]
        train(trainer, 1, 45)
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        section = page.locator("#section-verifications")
        expect(section).to_contain_text("Nothing has been verified yet")

        page.locator('#section-header [data-action="verify"]').click()
        expect(page.locator("#verify-dialog")).to_contain_text("and the run is stopped")
        page.locator('[data-confirm="verify"]').click()
        expect(page.locator("#said")).to_contain_text(
            "Verification: asked; waiting for the trainer"
        )
        expect(section).to_contain_text("waits for the trainer")
        expect(section).to_contain_text("against step 10, 20, 40")

        command = {**trainer.send()["commands"][0], "step": 45}
        trainer.ack({"command_id": command["command_id"]}, "agreed", step=45)
        expect(section).to_contain_text("being scored")
        verified(trainer, command, FEW, RIGHT)
        expect(section.locator("[data-verification]")).to_have_attribute("data-state", "worse")
        expect(section).to_contain_text("scored once more some steps later")
        expect(section).to_contain_text("256 of at most 1,500 completions")
        expect(section.locator("tbody tr")).to_have_count(3)
        expect(section).to_contain_text("−75.0")

        (again,) = train(trainer, 46, 55)
        verified(trainer, {**again, "step": 55}, FEW, RIGHT)
        expect(section).to_contain_text("The checkpoint of step 40 is kept")
        expect(page.locator("#section-commands")).to_contain_text("Stop")


def test_a_run_that_nothing_can_verify_says_why(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    with monitor_process.client() as client:
        trainer = Trainer(client, name="plain")  # type: ignore[arg-type]
        train(trainer, 1, 12)
    page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
    expect(page.locator('#section-header [data-action="verify"]')).to_be_disabled()
    expect(page.locator("#section-verifications")).to_contain_text("the signals alone decide")
