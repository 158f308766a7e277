"""Nothing runs or is styled in a page but our files: the policy, what plotly.js needs of it, hostile text."""

from pathlib import Path

import httpx
import plotly
import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import MonitorProcess
from tests.messages import Trainer, checkpoint, point, status
from webui import static

SHEET = Path(static.__file__).parent / "static" / "plotly.css"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
HOSTILE = "</script><script>window.hurt=1</script>\"'><img src=x onerror=window.hurt=1><svg/onload=window.hurt=1>"
INJECT = """() => new Promise(done => {
    const stopped = [];
    document.addEventListener('securitypolicyviolation', e => stopped.push(e.effectiveDirective));
    for (const [name, text] of [['style', 'h1 { color: red }'], ['script', 'window.ran = 1']]) {
        const made = document.createElement(name);
        made.textContent = text;
        document.head.append(made);
    }
    setTimeout(() => done(stopped.sort()), 300);
})"""


@pytest.fixture
def run_url(monitor_process: MonitorProcess) -> str:
    """The page of a run whose every text is hostile."""
    monitor_process.start()
    with httpx.Client(base_url=monitor_process.url) as client:
        trainer = Trainer(
            client,  # type: ignore[arg-type]  # asks alike
            name=HOSTILE,
            project=HOSTILE,
            tags=[HOSTILE],
            config={HOSTILE: HOSTILE},
        )
        trainer.send(
            *(point(step, format_reward=0.5, **{HOSTILE: 1.0 * step}) for step in range(1, 20)),
            checkpoint(10) | {"path": HOSTILE},
            {"kind": "sample", "step": 3, "prompt": HOSTILE, "completion": HOSTILE, "rewards": {}},
            {"kind": "nonsense", HOSTILE: HOSTILE},
            status("failed", reason=HOSTILE),
        )
    return f"{monitor_process.url}/runs/{trainer.run_id}"


def test_the_style_sheet_holds_what_plotly_would_write_itself(page: Page) -> None:
    """When plotly is upgraded this fails: write the rules found into webui/static/plotly.css."""
    page.set_content("<html><head></head><body></body></html>")
    page.add_script_tag(path=PLOTLY)
    written = page.evaluate(
        "() => [...document.getElementById('plotly.js-style-global').sheet.cssRules].map(r => r.cssText)"
    )
    assert written == [line for line in SHEET.read_text().splitlines() if line.endswith("}")]


def test_hostile_names_metrics_and_completions_are_shown_as_text(page: Page, run_url: str) -> None:
    """The page fixture fails on anything that the policy had to stop: the escaping alone must do."""
    page.goto(run_url)
    page.wait_for_function("() => document.querySelector('.js-plotly-plot')?.data?.length > 0")
    page.locator("#others").evaluate("details => { details.open = true }")
    page.locator(".small-chart").first.scroll_into_view_if_needed()
    page.wait_for_function(
        "() => document.querySelector('.small-chart.js-plotly-plot')", timeout=5_000
    )
    page.wait_for_timeout(300)
    for where in ("h1", "#section-samples", "#config", "#section-header .aside"):
        assert "window.hurt=1" in (page.locator(where).first.text_content() or ""), where
    page.goto(run_url.partition("/runs/")[0])
    assert HOSTILE in (page.locator("tbody").inner_text())
    assert page.evaluate("() => window.hurt") is None


def test_the_policy_stops_inline_scripts_and_styles_and_leaves_the_charts_their_style(
    browser: Browser, run_url: str
) -> None:
    page = browser.new_page()
    page.goto(run_url)
    page.wait_for_function("() => document.querySelector('.js-plotly-plot')?.data?.length > 0")
    modebar = page.locator(".js-plotly-plot .modebar").first
    assert modebar.evaluate("el => getComputedStyle(el).position") == "absolute"
    assert page.evaluate(INJECT) == ["script-src-elem", "style-src-elem"]
    assert page.evaluate("() => window.ran") is None
    page.close()
