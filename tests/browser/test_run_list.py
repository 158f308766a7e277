"""The table of runs in a real browser: paging, search and filters in the address, and live all the while."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from cusp.ids import new_id
from monitor.settings import MonitorConfig
from tests.serving import Served, serving

COUNT = 230


class Runs:
    def __init__(self, served: Served) -> None:
        self.url = served.url
        self.ids = [self.add(f"seed-{number}") for number in range(COUNT)]

    def add(self, name: str, project: str = "sweep") -> str:
        run_id = new_id()
        start = {"run_id": run_id, "attempt_id": run_id, "name": name, "project": project}
        httpx.post(f"{self.url}/api/v1/runs", json=start).raise_for_status()
        return run_id

    def send(self, run_id: str, seq: int, step: int, **metrics: float) -> None:
        message = {"kind": "point", "step": step, "metrics": metrics}
        body = {"attempt_id": run_id, "first_seq": seq, "messages": [message]}
        httpx.post(f"{self.url}/api/v1/runs/{run_id}/batches", json=body).raise_for_status()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with serving(MonitorConfig(str(tmp_path_factory.mktemp("list") / "cusp.db"))) as served:
        yield Runs(served)


def rows(page: Page) -> list[str]:
    return [one.strip() for one in page.locator("#runs tbody tr th a[title]").all_inner_texts()]


def test_pages_lead_through_all_runs_and_rows_stay_live(page: Page, runs: Runs) -> None:
    page.goto(runs.url)
    expect(page.locator("#range")).to_have_text(f"1–100 of {COUNT}")
    assert len(rows(page)) == 100
    page.click("a[rel=next]")
    expect(page.locator("#range")).to_have_text(f"101–200 of {COUNT}")
    page.click("a[rel=next]")
    expect(page.locator("#range")).to_have_text(f"201–{COUNT} of {COUNT}")
    assert "seed-0" in rows(page)
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    runs.send(runs.ids[0], 0, 7, format_reward=0.625)
    row = page.locator(f'tr[data-run="{runs.ids[0]}"]')
    expect(row.locator('[data-f="step"]')).to_have_text("7")
    expect(row.locator('[data-f="format_reward"]')).to_contain_text("0.625")
    page.click("a[rel=prev]")
    page.click("a[rel=prev]")
    expect(page.locator("#range")).to_have_text(f"1–100 of {COUNT}")


def test_a_search_is_the_servers_lives_in_the_address_and_takes_new_runs_in(
    page: Page, runs: Runs
) -> None:
    page.goto(runs.url)
    page.keyboard.press("/")
    page.keyboard.type("seed-1 swe")
    expect(page.locator("#count")).to_have_text("111")  # seed-1, -10..-19, -100..-199
    assert "q=seed-1+swe" in page.url
    page.reload()
    expect(page.locator("#search")).to_have_value("seed-1 swe")
    expect(page.locator("#range")).to_have_text("1–100 of 111")
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    other, mine = runs.add("elsewhere", "p"), runs.add("seed-1-again")
    expect(page.locator(f'tr[data-run="{mine}"]')).to_be_visible()
    assert page.locator(f'tr[data-run="{other}"]').count() == 0
    expect(page.locator("#range")).to_have_text("1–101 of 112")
    page.fill("#search", "no such run")
    expect(page.locator("#none-found")).to_be_visible()
    page.fill("#search", runs.ids[3][:20].lower())
    page.fill("#search", "seed-3")
    page.select_option("#status", "failed")
    expect(page).to_have_url(re.compile("q=seed-3&|&q=seed-3$"))
    expect(page).to_have_url(re.compile("status=failed"))
    expect(page.locator("#none-found")).to_be_visible()
    page.select_option("#status", "")
    expect(page.locator("#none-found")).to_be_hidden()
    expect(page).not_to_have_url(re.compile("status"))
    page.locator("#runs tbody tr").first.click()
    page.wait_for_url("**/runs/*")
    page.go_back()
    expect(page.locator("#search")).to_have_value("seed-3")


def test_what_was_left_out_of_a_run_is_read_on_its_page(
    page: Page, runs: Runs, tmp_path: Path
) -> None:
    runs.send(runs.ids[1], 0, 1, **{"grad\tnorm": 1.0, "format_reward": 0.5})
    page.goto(f"{runs.url}/runs/{runs.ids[1]}")
    page.click("#left-out summary")
    expect(page.locator("#left-out")).to_contain_text("grad\\tnorm 1 times, last at step 1")
