"""Nothing runs or is styled in a page but our files: the policy, what plotly.js needs of it, hostile text."""

from pathlib import Path

import plotly
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import as_a_person
from tests.conftest import MonitorProcess
from tests.messages import Trainer, checkpoint, point, status, transition
from webui import assets

SHEET = Path(assets.__file__).parent / "static" / "css" / "plotly.css"
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
    document.querySelector('h1').setAttribute('style', 'color: red');
    setTimeout(() => done(stopped.sort()), 300);
})"""


@pytest.fixture
def run_url(monitor_process: MonitorProcess) -> str:
    """The page of a run whose every text is hostile."""
    monitor_process.start()
    with monitor_process.client() as client:
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
            {"kind": HOSTILE, HOSTILE: HOSTILE},
            status("failed", reason=HOSTILE),
        )
    return f"{monitor_process.url}/runs/{trainer.run_id}"


def test_the_style_sheet_holds_what_plotly_would_write_itself(page: Page) -> None:
    """When plotly is upgraded this fails: write the rules found into webui/static/css/plotly.css."""
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
    assert HOSTILE in (page.locator("tbody").first.inner_text())
    assert page.evaluate("() => window.hurt") is None


def test_the_policy_stops_inline_scripts_and_styles_and_leaves_the_charts_their_style(
    browser: Browser, run_url: str
) -> None:
    page = as_a_person(browser.new_page())
    page.goto(run_url)
    page.wait_for_function("() => document.querySelector('.js-plotly-plot')?.data?.length > 0")
    modebar = page.locator(".js-plotly-plot .modebar").first
    assert modebar.evaluate("el => getComputedStyle(el).position") == "absolute"
    assert page.evaluate(INJECT) == ["script-src-elem", "style-src-attr", "style-src-elem"]
    assert page.evaluate("() => window.ran") is None
    page.close()


def test_no_page_and_nothing_done_with_a_chart_meets_the_policy(
    page: Page, monitor_process: MonitorProcess
) -> None:
    """The page fixture fails on every violation, which a browser writes to its console."""
    monitor_process.start()
    page.goto(monitor_process.url)  # no run yet
    with monitor_process.client() as client:
        trainer = Trainer(client)  # type: ignore[arg-type]  # asks alike
        transition(trainer)
        for path in ("/", "/?project=default", "/login"):
            page.goto(monitor_process.url + path)
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        page.wait_for_function("() => document.querySelector('.js-plotly-plot')?.data?.length > 0")
        titles = page.locator(".annotation-text").filter(has_text="Format reward")
        assert titles.first.evaluate("el => getComputedStyle(el).fontWeight") == "700"
        hover_and_zoom(page)
        with page.expect_download() as picture:
            page.locator('.modebar-btn[data-attr="toImage"], .modebar-btn').first.click()
        assert picture.value.path().read_bytes().startswith(b"\x89PNG")
        page.locator("[data-theme-toggle]").click()
        hover_and_zoom(page)
        trainer.send(
            point(200, format_reward=0.4, newly_logged=1.0)
        )  # live, and a chart of its own
        page.wait_for_selector('[data-metric="newly_logged"]', state="attached")
        page.locator("#others").evaluate("details => { details.open = true }")
        page.locator('[data-metric="newly_logged"]').scroll_into_view_if_needed()
        page.wait_for_selector('[data-metric="newly_logged"].js-plotly-plot')


def hover_and_zoom(page: Page) -> None:
    """Do with the first chart what a person does."""
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.wait_for_selector(".hoverlayer .legendtext, .hoverlayer text")
    page.mouse.down()
    page.mouse.move(x + 100, y, steps=5)
    page.mouse.up()
    page.wait_for_timeout(500)
    page.mouse.dblclick(x, y)


def test_metrics_called_like_parts_of_the_language_get_charts_like_any_other(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    with monitor_process.client() as client:
        trainer = Trainer(client)  # type: ignore[arg-type]  # asks alike
        trainer.send(point(1, format_reward=0.4))
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        page.wait_for_selector("#live[data-state=on]")
        names = ("constructor", "__proto__", "toString")
        trainer.send(point(2, **dict.fromkeys(names, 1.0)))
        for name in names:
            page.wait_for_selector(f'.small-chart[data-metric="{name}"]', state="attached")


def test_live_changes_are_text_too(browser: Browser, monitor_process: MonitorProcess) -> None:
    """What a script puts into the page: a new metric's chart, a reason, an answer of the monitor."""
    page = as_a_person(
        browser.new_page()
    )  # the other fixture takes the 409 below for an error of the page
    stopped: list[str] = []
    page.on("console", lambda m: stopped.append(m.text) if "Content Security" in m.text else None)
    monitor_process.start()
    with monitor_process.client() as client:
        trainer = Trainer(client)  # type: ignore[arg-type]  # asks alike
        trainer.send(point(1, format_reward=0.4))
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        page.wait_for_selector("#live[data-state=on]")
        page.locator("#others").evaluate(
            "details => { details.hidden = false; details.open = true }"
        )
        trainer.send(point(2, **{HOSTILE: 1.0}))
        page.wait_for_selector(".small-chart", state="attached")
        page.locator(".small-chart").last.scroll_into_view_if_needed()
        title = page.locator(".small-chart .gtitle").last
        title.wait_for(state="attached")
        assert title.text_content() == HOSTILE
        trainer.send(point(3, **{"<b>a tag</b>": 1.0}))  # one that Plotly knows
        tagged = page.locator('.small-chart[data-metric="<b>a tag</b>"]')
        tagged.wait_for(state="attached")
        tagged.scroll_into_view_if_needed()
        expect(tagged.locator(".gtitle")).to_have_text("<b>a tag</b>")
        page.route("**/stop", lambda route: route.fulfill(status=409, json={"detail": HOSTILE}))
        page.get_by_role("button", name="Stop", exact=True).click()
        page.get_by_role("button", name="Stop the run").click()
        expect(page.locator("#said")).to_contain_text("window.hurt")
        assert page.locator("#said").inner_text() == HOSTILE
        trainer.send(status("failed", reason=HOSTILE))
        expect(page.locator('[data-f="status_reason"]')).to_contain_text("window.hurt")
    page.wait_for_timeout(300)
    assert page.evaluate("() => window.hurt") is None
    assert page.evaluate("() => document.querySelectorAll('main img, #said img').length") == 0
    assert stopped == []
    page.close()
