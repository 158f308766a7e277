"""The evaluation on a run's page, and the pages of samples and differences, in a real browser with a token."""

import csv
import re
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from playwright.sync_api import Page, expect

from monitor.settings import MonitorConfig
from tests.browser.conftest import TOKEN
from tests.browser.evaluated_run import GAINS, TASKS, send
from tests.messages import Trainer
from tests.serving import serving

HOSTILE = "</pre><script>window.hurt=1</script><img src=x onerror=window.hurt=1>\\boxed{<b>1</b>}"


class Evaluated(NamedTuple):
    """The address of the run's page, and the run."""

    url: str
    trainer: Trainer


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluated]:
    database = str(tmp_path_factory.mktemp("evaluated") / "cusp.db")
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with (
        serving(MonitorConfig(database, token=TOKEN)) as served,
        httpx.Client(base_url=served.url, headers=bearer, timeout=60) as client,
    ):
        trainer = send(client)
        sample = {"kind": "sample", "step": 3, "prompt": HOSTILE, "completion": HOSTILE}
        trainer.send(sample | {"rewards": {HOSTILE: 1.0}})
        yield Evaluated(f"{served.url}/runs/{trainer.run_id}", trainer)


def wide(page: Page) -> int:
    """Return by how many pixels the page is wider than the window."""
    found: int = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return found


def test_the_forest_plot_draws_each_interval_at_its_place(page: Page, evaluated: Evaluated) -> None:
    page.goto(evaluated.url)
    plot = page.locator(".forestplot")
    expect(plot.locator("tbody tr")).to_have_count(1 + (len(GAINS) - 1) * (1 + len(TASKS)))
    worse = plot.locator("tbody tr", has_text="step 800").first
    expect(worse).to_contain_text("worse")
    zero = worse.locator(".zero").bounding_box()
    mark = worse.locator("path").bounding_box()
    band = worse.locator(".margin").bounding_box()
    assert zero is not None
    assert mark is not None
    assert band is not None
    assert mark["x"] + mark["width"] < band["x"] < zero["x"] < band["x"] + band["width"]
    assert band["height"] > 20  # as high as its row: the bands join
    assert plot.locator("tfoot text", has_text="0").first.bounding_box()


def test_tinas_row_stands_below_with_what_cusp_says_of_it(page: Page, evaluated: Evaluated) -> None:
    page.goto(evaluated.url)
    table = page.locator(".benchmarks")
    assert table.locator("thead th").all_inner_texts()[1].startswith("aime24")
    expect(table.locator(".published")).to_contain_text("Tina-Open-RS2")
    expect(table.locator(".published")).to_contain_text("43.3 %")
    expect(page.locator(".said-of-published")).to_contain_text(
        "can be told from chance on none of 6 tasks"
    )


@pytest.mark.parametrize("path", ["", "/samples", "/differences?task=math500"])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(
    page: Page, evaluated: Evaluated, path: str
) -> None:
    page.set_viewport_size({"width": 360, "height": 780})
    page.goto(evaluated.url + path)
    expect(page.locator("h1")).to_be_visible()
    assert wide(page) == 0
    if not path:
        row = page.locator("#section-checkpoints tbody tr", has_text="best").first
        for label in ("aime24", "minerva", "Size", "Where"):
            expect(row.locator(f'[data-label="{label}"]')).to_be_visible()
        for name in ("Promote", "Evaluate", "Export"):
            expect(
                row.get_by_role("button", name=re.compile(f"^{name} checkpoint"))
            ).to_be_visible()


def test_the_hash_of_a_checkpoint_is_copied_whole(page: Page, evaluated: Evaluated) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(evaluated.url)
    page.get_by_role("button", name="Copy the sha256 of checkpoint 450", exact=True).click()
    expect(page.locator("#said")).to_have_text("Copied.")
    assert page.evaluate("() => navigator.clipboard.readText()") == f"{450:064x}"


def test_samples_are_filtered_ticked_and_compared_by_keyboard(
    page: Page, evaluated: Evaluated
) -> None:
    page.goto(evaluated.url)
    page.get_by_role("link", name="All samples").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/samples")
    expect(page.get_by_role("heading", name="Before the transition")).to_be_visible()
    page.get_by_label("Reward").focus()
    page.get_by_label("Reward").select_option("format_reward")
    page.get_by_label("at most").fill("0.5")
    page.keyboard.press("Enter")
    page.wait_for_url("**most=0.5**")
    expect(page.get_by_role("region", name="Before the transition")).to_contain_text("None")
    page.get_by_role("link", name="Show all").click()
    for side in ("Before", "After"):
        box = (
            page.get_by_role("region", name=f"{side} the transition").get_by_role("checkbox").first
        )
        box.focus()
        page.keyboard.press("Space")
    page.keyboard.press("Enter")
    compared = page.locator("#compared")
    expect(compared).to_be_visible()
    expect(compared.locator("del").first).to_be_visible()
    expect(compared.locator("ins").first).to_be_visible()
    assert "compare=" in page.url


def test_differing_problems_are_chosen_and_paged(page: Page, evaluated: Evaluated) -> None:
    page.goto(evaluated.url)
    page.get_by_role("link", name="Problems where two checkpoints differ").click()
    page.get_by_label("with").select_option("step 250")
    page.get_by_label("Task").select_option("math500")
    page.get_by_label("Mark what differs").check()
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".lead")).to_contain_text("step 450 is better on")
    expect(page.locator("article.problem")).to_have_count(10)
    expect(page.locator("article.problem ins").first).to_be_visible()
    first = page.locator("article.problem h2").first.inner_text()
    page.get_by_role("link", name="next →").first.click()
    expect(page.locator("article.problem h2").first).not_to_have_text(first)
    expect(page.get_by_label("Mark what differs")).to_be_checked()


def test_a_hostile_completion_is_text_with_its_box_marked(page: Page, evaluated: Evaluated) -> None:
    """The page fixture fails on anything that the policy had to stop."""
    page.goto(f"{evaluated.url}/samples?first=3&last=3")
    shown = page.get_by_label("Completion")
    expect(shown).to_have_text(HOSTILE)
    expect(shown.locator("mark")).to_have_text("\\boxed{<b>1</b>}")
    assert page.evaluate("() => window.hurt") is None


def test_every_scored_completion_is_downloaded_as_a_table(page: Page, evaluated: Evaluated) -> None:
    page.goto(evaluated.url)
    with page.expect_download() as got:
        page.locator("#section-evaluations .exports").get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(got.value.path().read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len(GAINS) * sum(n * k for n, k, _ in TASKS.values())
    assert {"problem_id", "sample", "score"} <= set(rows[0])
