"""Keys alone lead from the log-in over the table to a promotion: the focus is seen, kept, and told what happened."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import TOKEN
from tests.conftest import MonitorProcess
from tests.messages import Trainer, checkpoint, point

FOCUS = """() => {
  const at = document.activeElement, style = getComputedStyle(at);
  const rim = style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth);
  return {
    text: at.getAttribute('aria-label') || at.textContent.trim(), rim,
    tag: at.tagName, dialog: at.closest('dialog[open]')?.id || '',
  };
}"""


def tab_to(page: Page, text: str) -> None:
    """Press Tab until what has the focus reads like this; each stop on the way has a rim around it."""
    seen = []
    for _ in range(80):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUS)
        assert found["tag"] == "BODY" or found["rim"] >= 1, found
        if found["text"] == text:
            return
        seen.append(found["text"][:30])
    raise AssertionError(f"no key leads to {text!r}, but to {seen}")


@pytest.fixture
def chosen(monitor_process: MonitorProcess) -> Iterator[Trainer]:
    """The second of three runs, with two checkpoints."""
    monitor_process.start()
    with monitor_process.client() as client:
        runs = [Trainer(client, name=name) for name in ("third", "second", "first")]  # type: ignore[arg-type]  # asks alike
        for step in (1, 2):
            runs[1].send(point(step, format_reward=0.4), checkpoint(step))
        yield runs[1]


def test_keys_alone_lead_from_the_log_in_to_a_promotion(page: Page, chosen: Trainer) -> None:
    url = str(chosen.api.base_url)
    page.evaluate(f"location.href = {url!r}")  # `goto` would log in with the mouse
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector("#live[data-state=on]")
    for key in "jjkj":
        page.keyboard.press(key)
    assert page.evaluate(FOCUS)["text"] == "second"
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{chosen.run_id}*")
    page.wait_for_selector("#live[data-state=on]")

    tab_to(page, "Promote")
    page.keyboard.press("Enter")
    expect(page.locator("#promote-dialog")).to_be_visible()
    assert page.evaluate(FOCUS)["dialog"] == "promote-dialog"
    page.keyboard.press("Escape")
    expect(page.locator("#promote-dialog")).to_be_hidden()
    assert page.evaluate(FOCUS)["text"] == "Promote"

    # From a row of the table, which is renewed by the promotion itself: the focus stays there.
    tab_to(page, "Promote checkpoint 1 to production")
    page.keyboard.press("Enter")
    tab_to(page, "Promote")
    assert page.evaluate(FOCUS)["dialog"] == "promote-dialog"
    page.keyboard.press("Enter")
    said = page.locator("#said")
    expect(said).to_contain_text("Promoted to production")
    expect(said).to_have_attribute("aria-live", "polite")
    expect(page.locator("#section-checkpoints .a-production")).to_be_visible()
    page.wait_for_function(f"() => /^(Pin|Evaluate) checkpoint 1/.test(({FOCUS})().text)")
    assert chosen.get()["checkpoints"]["production"]["step"] == 1
