"""A person sees on the page which key is what, tells it, and the run is judged anew."""

import random

import pytest
from playwright.sync_api import Browser, Page, expect

import cusp
from tests.browser.conftest import as_a_person
from tests.conftest import MonitorProcess
from tests.waiting import wait_until


@pytest.fixture
def run(monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch) -> cusp.Run:
    """A finished run of a plain loop that names its rewards as it likes."""
    monitor_process.start()
    monkeypatch.setenv("CUSP_URL", monitor_process.url)
    monkeypatch.setenv("CUSP_DIR", str(monitor_process.folder))
    run, rng = cusp.init("roles", "own names"), random.Random(1)
    for step in range(1, 81):
        run.log(
            {
                "rewards/my_shape_reward/mean": min(step / 40, 0.9) + 0.02 * rng.random(),
                "rewards/check_answer/mean": 0.4,
                "rewards/check_numbers/mean": 0.1,
                "completions/mean_length": 200.0 - step + rng.random(),
            },
            step,
        )
    assert run.finish(drain_s=20)
    wait_until(lambda: monitor_process.get(f"/runs/{run.id}")["step"] == 80, 20)
    return run


def titles(page: Page) -> str:
    script = "() => document.querySelector('#charts').layout.annotations.map(a => a.text).join('|')"
    return str(page.evaluate(script))


def test_a_person_tells_the_format_reward_on_the_page(
    page: Page, monitor_process: MonitorProcess, run: cusp.Run
) -> None:
    page.goto(f"{monitor_process.url}/runs/{run.id}")
    card = page.locator("#section-roles")
    expect(card).to_contain_text(
        "Format reward: none found, so the transition is looked for in accuracy reward and completion"
        " length alone."
    )
    expect(card).to_contain_text("rewards/check_answer + rewards/check_numbers (by name)")
    expect(card).to_contain_text("Not recognised, so in no role: rewards/my_shape_reward.")
    page.wait_for_function("() => document.querySelector('#charts').layout?.annotations")
    assert "Format reward (not logged)" in titles(page)
    assert "Accuracy reward = check_answer + check_numbers" in titles(page)

    card.get_by_role("button", name="Change roles").click()
    dialog = page.locator("#roles-dialog")
    dialog.get_by_label("Role of rewards/my_shape_reward").select_option("format")
    dialog.get_by_label("Role of rewards/check_numbers").select_option("")
    dialog.get_by_role("button", name="Save roles").click()
    expect(card).to_contain_text("Format reward: rewards/my_shape_reward (told).")
    expect(card).to_contain_text("Accuracy reward: rewards/check_answer (told).")
    page.wait_for_function("() => document.querySelector('#charts').layout?.annotations")
    assert "Format reward = my_shape_reward" in titles(page)
    found = monitor_process.get(f"/runs/{run.id}")
    assert found["roles"]["told"] == {
        "format": ["rewards/my_shape_reward"],
        "accuracy": ["rewards/check_answer"],
    }
    assert found["latest"]["accuracy_reward"] == 0.4
    expect(page.locator("#section-decisions")).to_contain_text("roles")

    card.get_by_role("button", name="Change roles").click()
    dialog.get_by_role("button", name="Back to the rules").click()
    expect(card).to_contain_text("Format reward: none found")
    assert monitor_process.get(f"/runs/{run.id}")["roles"]["told"] == {}


@pytest.mark.parametrize("away", ["Cancel", "Escape"])
def test_a_choice_that_was_put_aside_is_not_saved_with_the_next_one(
    page: Page, monitor_process: MonitorProcess, run: cusp.Run, away: str
) -> None:
    page.goto(f"{monitor_process.url}/runs/{run.id}")
    card, dialog = page.locator("#section-roles"), page.locator("#roles-dialog")
    card.get_by_role("button", name="Change roles").click()
    dialog.get_by_label("Role of rewards/my_shape_reward").select_option("format")
    dialog.get_by_label("Another key").fill("rewards/never_logged")
    if away == "Cancel":
        dialog.get_by_role("button", name="Cancel").click()
    else:
        page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    card.get_by_role("button", name="Change roles").click()
    expect(dialog.get_by_label("Role of rewards/my_shape_reward")).to_have_value("")
    expect(dialog.get_by_label("Another key")).to_have_value("")


def test_a_key_that_was_never_logged_is_refused_with_a_sentence_on_the_page(
    browser: Browser, monitor_process: MonitorProcess, run: cusp.Run
) -> None:
    page = as_a_person(
        browser.new_page()
    )  # the browser itself notes a refusal as an error of the page
    page.goto(f"{monitor_process.url}/runs/{run.id}")
    page.locator("#section-roles").get_by_role("button", name="Change roles").click()
    dialog = page.locator("#roles-dialog")
    dialog.get_by_label("Another key").fill("rewards/never_logged")
    dialog.get_by_role("button", name="Save roles").click()
    expect(page.locator("#said")).to_contain_text("was never logged, so it cannot be the format")
    assert monitor_process.get(f"/runs/{run.id}")["roles"]["told"] == {}
    page.locator("#section-roles").get_by_role("button", name="Change roles").click()
    expect(dialog.get_by_label("Another key")).to_have_value("rewards/never_logged")  # to be mended
    page.close()
