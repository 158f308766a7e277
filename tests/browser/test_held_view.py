"""What a person set for the charts holds for the next run; a link shows what its sender saw."""

from playwright.sync_api import Page, expect

from tests.conftest import MonitorProcess
from tests.messages import Trainer, point

DRAWN = "() => document.querySelector('.js-plotly-plot')?.data?.length > 0"


def test_axis_smoothing_and_scale_hold_for_the_next_run_and_a_link_wins(
    page: Page, monitor_process: MonitorProcess, patience: None
) -> None:
    monitor_process.start()
    with monitor_process.client() as client:
        urls = []
        for _ in range(2):
            trainer = Trainer(client)  # type: ignore[arg-type]  # asks alike
            trainer.send(*(point(s, format_reward=(s % 7) / 7, tokens=9.0) for s in range(1, 21)))
            urls.append(f"{monitor_process.url}/runs/{trainer.run_id}")
    page.goto(urls[0])
    page.wait_for_function(DRAWN)
    bar = page.locator("#chartbar")
    bar.locator("[data-view=x]").select_option("tokens")
    bar.locator("[data-view=smooth]").fill("0.9")
    bar.get_by_label("log y").check()
    bar.get_by_label("First step shown").fill("5")
    bar.get_by_label("Last step shown").fill("9")
    bar.get_by_label("Last step shown").press("Enter")
    page.goto(urls[1])
    page.wait_for_function(DRAWN)
    expect(bar.get_by_label("log y")).to_be_checked()
    expect(bar.locator("[data-view=x]")).to_have_value("tokens")
    expect(bar.locator("[data-view=smooth]")).to_have_value("0.9")
    assert page.url.endswith("?x=tokens&smooth=0.9&log=1"), "a zoom is of one run"
    page.goto(f"{urls[1]}?smooth=0.5")
    page.wait_for_function(DRAWN)
    expect(bar.get_by_label("log y")).not_to_be_checked()
    expect(bar.locator("[data-view=x]")).to_have_value("step")
