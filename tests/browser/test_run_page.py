"""The first screen of a run's page: state, one sentence, the acts, the charts; and what a proposal asks."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cusp.cli import show
from tests.browser.conftest import as_a_person
from tests.conftest import MonitorProcess
from tests.messages import Trainer, checkpoint, point, transition

NO_VERIFICATION = {"verify": "off"}
DRAWN = "() => document.querySelector('.js-plotly-plot')?.data?.length > 0"
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
FIRST_CHART = (
    """() => document.querySelector('#charts .nsewdrag').getBoundingClientRect().top + scrollY"""
)


@contextmanager
def turned(monitor: MonitorProcess, **start: object) -> Iterator[Trainer]:
    """A run whose format breaks at step 60; the trainer has not answered its commands."""
    with monitor.client() as client:
        trainer = Trainer(client, name="turned", **start)  # type: ignore[arg-type]  # asks alike
        transition(trainer)
        yield trainer


@pytest.mark.parametrize(("width", "height", "most"), [(1440, 900, 450), (390, 844, 844)])
def test_the_first_screen_has_state_sentence_acts_and_the_first_chart(
    page: Page, monitor_process: MonitorProcess, width: int, height: int, most: int
) -> None:
    monitor_process.start()
    page.set_viewport_size({"width": width, "height": height})
    with turned(monitor_process, policy=NO_VERIFICATION) as trainer:
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        page.wait_for_function(DRAWN)
        words = trainer.get()["words"]
    assert page.evaluate(FIRST_CHART) < most
    for name in ("Stop", "Keep", "Promote", "Resume", "Verify now"):
        button = page.locator("#section-header").get_by_role("button", name=name, exact=True)
        assert (button.bounding_box() or {"y": 1e9})["y"] < 300
    sentence = words.split(". ")[0]
    assert page.locator("main").inner_text().count(sentence) == 1
    assert sentence in page.locator("#section-header").inner_text()
    assert page.evaluate(SIDEWAYS) <= 0


SHIFTED = """() => new Promise((told) => new PerformanceObserver((found) => told(found.getEntries()
    .filter(({ sources }) => sources.some(({ node }) => node?.id === 'charts')).length))
    .observe({ type: 'layout-shift', buffered: true }) || setTimeout(() => told(0), 500))"""


def test_the_page_carries_its_charts_which_the_live_ones_replace(
    page: Page, browser: Browser, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    with turned(monitor_process, policy=NO_VERIFICATION) as trainer:
        url = f"{monitor_process.url}/runs/{trainer.run_id}"
        page.goto(url)
        page.wait_for_function(DRAWN)
        expect(page.locator("#charts > .still")).to_have_count(0)
        assert page.evaluate(SHIFTED) == 0
        height = (page.locator("#charts").bounding_box() or {"height": 0})["height"]
        held = page.context.storage_state()
        page.goto(f"{url}?log=1")
        page.wait_for_function(DRAWN)  # in a view of its own there is no picture to jump from
        still = browser.new_context(java_script_enabled=False, storage_state=held)
        quiet = still.new_page()
        quiet.goto(url)
        charts = quiet.get_by_role("figure")
        assert quiet.locator("#charts > .still .lines path").count() >= 8
        expect(charts).to_contain_text("Format reward")
        assert (charts.get_attribute("aria-label") or "").startswith("Charts")
        assert (charts.bounding_box() or {"height": 1})["height"] == height
        line = quiet.locator(".still .lines path").last.bounding_box() or {"width": 0}
        assert line["width"] > 400
        still.close()


def test_a_proposal_waits_for_a_person_who_accepts_it(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    policy = {"action": "propose", **NO_VERIFICATION}
    with turned(monitor_process, policy=policy) as trainer:
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        banner = page.locator("#section-proposal")
        expect(banner).to_contain_text("Proposed: stop this run")
        banner.get_by_role("button", name="Accept and stop").click()
        expect(banner).to_be_hidden()
        card = page.locator("#section-transition")
        expect(card).to_contain_text("the trainer has not done it yet (open)")
        expect(page.locator("#section-header [data-f=status]")).to_have_text("stopping")
        (stop,) = [c for c in trainer.send()["commands"] if c["kind"] == "stop"]
        trainer.ack(stop, "delivered")
        expect(card).to_contain_text("the trainer has not done it yet (delivered)")
        trainer.ack(stop, "done", step=120)
        trainer.send({"kind": "status", "status": "stopped"})
        expect(card).to_contain_text("The trainer stopped at step 120.")
        expect(page.locator("#section-header [data-f=status]")).to_have_text("stopped")


def test_a_proposal_that_is_dismissed_is_gone_and_the_run_goes_on(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    policy = {"action": "propose", **NO_VERIFICATION}
    with turned(monitor_process, policy=policy) as trainer:
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        page.locator("#section-proposal").get_by_role("button", name="Dismiss").click()
        assert "dismissed" not in {c["state"] for c in trainer.get()["change_points"]}
        page.get_by_role("button", name="Dismiss the transition").click()
        expect(page.locator("#section-proposal")).to_be_hidden()
        expect(page.locator("#section-header")).to_contain_text("A person dismissed the transition")
        found = trainer.get()
    assert found["status"] == "running"
    assert not [c for c in found["commands"] if c["kind"] == "stop"]
    assert "dismissed" in {c["state"] for c in found["change_points"]}


def test_keep_and_promote_stand_in_the_header_and_name_the_checkpoint(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    policy = {"action": "watch", **NO_VERIFICATION}
    with turned(monitor_process, policy=policy) as trainer:
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        header = page.locator("#section-header")
        header.get_by_role("button", name="Keep", exact=True).click()
        page.locator("#keep-dialog select").select_option(label="step 10")
        page.get_by_role("button", name="Keep it").click()
        expect(page.locator("#section-commands")).to_contain_text("Keep checkpoint 10")
        header.get_by_role("button", name="Promote", exact=True).click()
        chosen = page.locator("#promote-dialog select option:checked")
        expect(chosen).to_contain_text("pre-transition")
        page.locator("#promote-dialog").get_by_role("button", name="Promote").click()
        expect(page.locator("#said")).to_contain_text("Promoted to production")
        assert "production" in trainer.get()["checkpoints"]


def test_a_race_on_promote_is_told_and_changes_nothing(
    browser: Browser, monitor_process: MonitorProcess
) -> None:
    """Two people promote: who opened the dialog first and confirmed it last is told what happened meanwhile."""
    monitor_process.start()
    context = browser.new_context()  # the 409 is an error of the console, but none of the page
    page = as_a_person(context.new_page())
    with monitor_process.client() as client:
        trainer = Trainer(client, name="raced")  # type: ignore[arg-type]  # asks alike
        trainer.send(point(1, format_reward=0.4), checkpoint(1), checkpoint(2))
        held = {one["step"]: one["id"] for one in trainer.get("/checkpoints")["checkpoints"]}
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        page.get_by_role("button", name="Promote checkpoint 1 to production").click()
        body = {"alias": "production", "expected_current": None}
        client.post(f"/api/v1/checkpoints/{held[2]}/promote", json=body).raise_for_status()
        expect(page.locator("#section-checkpoints .a-production")).to_be_visible()
        with page.expect_response(lambda answer: answer.url.endswith("/promote")) as answered:
            page.locator("#promote-dialog").get_by_role("button", name="Promote").click()
        assert answered.value.status == 409
        said = page.locator("#said")
        expect(said).to_have_class(re.compile("bad"))
        expect(said).to_contain_text("production")
        assert trainer.get()["checkpoints"]["production"]["step"] == 2
    context.close()


def seen(page: Page, metric: str) -> None:
    """Scroll to a small chart, which is drawn when it is first seen."""
    page.locator(f'.small-chart[data-metric="{metric}"]').scroll_into_view_if_needed()
    page.wait_for_selector(f'.small-chart[data-metric="{metric}"].js-plotly-plot')


AXIS = "() => { const a = document.querySelector('#charts')._fullLayout.xaxis; return [a.title.text, ...a.range] }"
AVERAGE = """() => document.querySelector('#charts').data.find(t => t.meta.role === 'average').y"""


def test_a_link_holds_zoom_smoothing_axis_and_metrics_for_all_charts(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    with monitor_process.client() as client:
        trainer = Trainer(client, policy=NO_VERIFICATION)  # type: ignore[arg-type]  # asks alike
        logged = {"tokens": 1000.0, "rewards/a": 0.1, "rewards/b": 0.2, "kl": 0.01}
        trainer.send(
            *(
                point(s, format_reward=(s % 7) / 7, **{k: v * s for k, v in logged.items()})
                for s in range(1, 101)
            )
        )
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        page.wait_for_function(DRAWN)
        whole = page.evaluate(AVERAGE)
        bar = page.locator("#chartbar")
        bar.locator("[data-view=x]").select_option("tokens")
        bar.locator("[data-view=smooth]").fill("0.99")
        bar.get_by_label("log y").check()
        bar.get_by_label("First step shown").fill("20")
        bar.get_by_label("Last step shown").fill("40")
        bar.get_by_label("Last step shown").press("Enter")
        page.locator("#others summary").click()
        page.locator("#others-search").fill("rewards/b")
        expect(page.locator('.small-chart[data-metric="kl"]')).to_be_hidden()
        url = page.url
        assert "zoom=20-40" in url
        page.goto("about:blank")
        page.goto(url)
        seen(page, "rewards/b")
        page.set_viewport_size({"width": 1280, "height": 3_000})
        page.locator("#charts .nsewdrag").first.hover()
        page.wait_for_selector('[data-metric="rewards/b"] .hoverlayer > *', state="attached")
        title, low, high = page.evaluate(AXIS)
        assert (title, round(low), round(high)) == ("tokens", 20_000, 40_000)
        assert page.evaluate("() => document.querySelector('#charts')._fullLayout.yaxis.type") == (
            "log"
        )
        smooth = page.evaluate(AVERAGE)
        assert max(smooth[50:]) - min(smooth[50:]) < (max(whole[50:]) - min(whole[50:])) / 3
        small = (
            "() => document.querySelector('[data-metric=\"rewards/b\"]')._fullLayout.xaxis.range"
        )
        assert [round(x) for x in page.evaluate(small)] == [20_000, 40_000]
        expect(page.locator('.small-chart[data-metric="kl"]')).to_be_hidden()
        page.get_by_role("button", name="Whole run").click()
        page.wait_for_function(
            "() => document.querySelector('[data-metric=\"rewards/b\"]')._fullLayout.xaxis.range[1] > 90000"
        )


def test_a_zoom_is_read_again_at_full_resolution(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    steps = 8_000
    with monitor_process.client() as client:
        trainer = Trainer(client, policy=NO_VERIFICATION)  # type: ignore[arg-type]  # asks alike
        for first in range(1, steps, 1_000):
            trainer.send(
                *(point(s, loss=(s % 97) / 97, kl=0.0) for s in range(first, first + 1_000))
            )
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}?metrics=loss")
        seen(page, "loss")
        values = """() => document.querySelector('[data-metric="loss"]').data
            .find(t => t.meta.role === 'values').x.filter(x => x >= 4000 && x <= 4500).length"""
        assert page.evaluate(values) < 400
        page.locator("#chartbar").get_by_label("First step shown").fill("4000")
        page.locator("#chartbar").get_by_label("Last step shown").fill("4500")
        page.locator("#chartbar").get_by_label("Last step shown").press("Enter")
        page.wait_for_function(f"() => ({values})() === 501")


def test_the_line_that_confirms_is_drawn_where_it_holds(
    page: Page, monitor_process: MonitorProcess
) -> None:
    """Evidence over `confirm` has no effect while too few points have followed: no line is crossed there."""
    monitor_process.start()
    with turned(monitor_process, policy=NO_VERIFICATION) as trainer:
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        page.wait_for_function(DRAWN)
        script = """() => Object.fromEntries(document.querySelector('#charts').data
            .filter(t => ['level', 'score_total'].includes(t.meta.role)).map(t => [t.meta.role, [t.x, t.y]]))"""
        drawn = page.evaluate(script)
        told, confirmed = trainer.get("/verdicts"), trainer.get()["transition"]["seen_at_step"]
    levels = dict(zip(*drawn["level"], strict=True))
    held = dict(zip(told["steps"], told["levels"], strict=True))
    assert held[confirmed] is not None
    early = [s for s in held if s < confirmed and told["scores"][s - 1] >= told["confirm"]]
    assert early
    assert all(held[step] is None for step in early)
    assert set(levels.values()) >= {None, told["confirm"]}


def test_the_configuration_is_searched_and_compared_and_the_run_renamed(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    with monitor_process.client() as client:
        for name, rate in (("first", 1e-5), ("second", 2e-5)):
            config = {"model": {"name": "m", "rank": 32}, "rate": rate, name: True}
            config |= {"eps": 1e-6, "temperature": 1.0}  # JavaScript writes 0.000001 and 1
            trainer = Trainer(client, name=name, config=config)  # type: ignore[arg-type]  # asks alike
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        page.locator("#config summary").click()
        rows = page.locator("#config tbody tr:visible")
        page.locator("#config [name=search]").fill("rank")
        expect(rows).to_have_text(["model.rank32"])
        page.locator("#config [name=search]").fill("")
        page.locator("#config [name=other]").select_option(label="first")
        page.locator("#config [name=only]").check()
        expect(rows).to_have_text(["rate2e-051e-05", "secondtrue–", "first–true"])
        page.get_by_role("button", name="Edit name, tags and notes").click()
        page.locator("#describe-dialog [name=name]").fill("<b>renamed</b>")
        page.locator("#describe-dialog [name=notes]").fill("why it was run")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("h1")).to_have_text("<b>renamed</b>")
        expect(page).to_have_title("<b>renamed</b> · Cusp")
        expect(page.locator("#section-header .notes")).to_have_text("why it was run")


def test_a_report_is_one_file_that_draws_without_a_network(
    page: Page, monitor_process: MonitorProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monitor_process.start()
    monkeypatch.setenv("CUSP_URL", monitor_process.url)
    file = tmp_path / "report.html"
    with turned(monitor_process, policy=NO_VERIFICATION) as trainer:
        show.report(trainer.run_id, file)
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}")
        page.wait_for_function(DRAWN)
        with page.expect_download() as drawing:
            page.get_by_role("button", name="charts (SVG)").click()
        assert b"<svg" in drawing.value.path().read_bytes()[:200]
    monitor_process.kill()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_function(DRAWN)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    expect(page.locator("#section-transition")).to_contain_text("The run left its good regime")
    expect(page.locator("#section-decisions")).to_contain_text("keep checkpoint 50")
    assert page.locator("button:visible").count() == 0
