"""The table of runs in a real browser: paging, search and filters in the address, and live all the while."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page, expect

from cusp.ids import new_id
from monitor.settings import MonitorConfig
from tests.serving import Served, serving

COUNT = 230


class Runs:
    def __init__(self, served: Served) -> None:
        self.url, self.values = served.url, served.service.values
        self.ids = [self.add(f"seed-{number}") for number in range(COUNT)]

    def add(self, name: str, project: str = "sweep", **more: object) -> str:
        run_id = new_id()
        start = {"run_id": run_id, "attempt_id": run_id, "name": name, "project": project, **more}
        httpx.post(f"{self.url}/api/v1/runs", json=start).raise_for_status()
        return run_id

    def summarised(self) -> None:
        """Do what the monitor's thread does every two seconds."""
        self.values.turn()

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


def test_order_columns_and_groups_are_the_servers_live_in_the_address_and_are_remembered(
    page: Page, runs: Runs
) -> None:
    project = "cols"
    for number, lr in enumerate((0.5, 0.25, 0.25)):
        run_id = runs.add(f"r{number}", project, config={"optim": {"lr": lr}})
        runs.send(run_id, 0, 1, kl=float(number), format_reward=0.5)
        runs.send(run_id, 1, 2, kl=0.5, format_reward=0.5)
    runs.summarised()
    page.goto(f"{runs.url}/?project={project}")
    page.click("[data-table=columns]")
    page.select_option("#column-kind", "max")
    page.fill("#column-name", "kl")
    page.click("#column-add")
    page.select_option("#column-kind", "config")
    page.fill("#column-name", "optim.lr")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator('td[data-x="max:kl"]').first).to_have_text("2.00")
    page.goto(f"{runs.url}/?project={project}")  # remembered
    page.get_by_role("link", name="kl max").click()
    expect(page.locator('th[aria-sort="descending"]')).to_have_text("kl max")
    assert rows(page) == ["r2", "r1", "r0"]
    page.get_by_role("link", name="kl max").click()
    expect(page.locator('th[aria-sort="ascending"]')).to_be_visible()
    assert rows(page) == ["r0", "r1", "r2"]
    assert [c.inner_text() for c in page.locator('td[data-x="max:kl"]').all()] == [
        "0.500",
        "1.00",
        "2.00",
    ]
    page.click("[data-table=columns]")
    page.fill("input[name=group]", "optim.lr")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#groups tbody tr")).to_have_count(2)
    expect(page.locator("#groups tbody tr").first).to_contain_text("1.50 ± 0.707")
    page.locator("#groups tbody th a").first.click()
    expect(page.locator("#asked")).to_contain_text("optim.lr=0.25")
    assert sorted(rows(page)) == ["r1", "r2"]
    page.goto(f"{runs.url}/?column=")
    expect(page.locator("td.x")).to_have_count(0)


def test_runs_are_selected_by_key_pinned_tagged_and_deleted_by_name(page: Page, runs: Runs) -> None:
    project = "<b>bulk</b>"
    ids = [runs.add(f"<i>{number}</i>", project) for number in range(3)]
    runs.send(ids[0], 0, 1, reward=1.0)
    for run_id in ids[:2]:
        body = {"attempt_id": run_id, "first_seq": int(run_id == ids[0])}
        body["messages"] = [{"kind": "status", "status": "finished"}]
        httpx.post(f"{runs.url}/api/v1/runs/{run_id}/batches", json=body).raise_for_status()
    page.goto(f"{runs.url}/?project={quote(project)}&column=&pin=")
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    page.keyboard.press("?")
    expect(page.locator("#help-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    for key in "jxjjx":
        page.keyboard.press(key)
    expect(page.locator("#picked")).to_have_text("2 selected")
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(page.locator("#picked")).to_have_text("3 selected")
    page.click("[data-bulk=tag]")
    page.fill("#bulk-input input", "good & <u>")
    page.click("#bulk-go")
    expect(page.locator("#said")).to_contain_text("3 runs tagged")
    assert httpx.get(f"{runs.url}/api/v1/runs/{ids[0]}").json()["tags"] == ["good & <u>"]
    page.click("#pick-all")
    page.click("[data-bulk=delete]")
    expect(page.locator("#bulk-title")).to_have_text("Delete 2 runs?")
    expect(page.locator("#bulk-words")).to_contain_text("1 run of the selection is left out")
    assert page.locator("#bulk-names li").all_inner_texts() == ["<i>1</i>", "<i>0</i>"]
    page.click("#bulk-go")
    expect(page.locator("#said")).to_contain_text("2 runs deleted")
    expect(page.locator("#rows tr")).to_have_count(1)
    page.click("[data-bulk=stop]")
    expect(page.locator("#bulk-names li")).to_have_text("<i>2</i>")
    page.click("#bulk-go")
    expect(page.locator(f'tr[data-run="{ids[2]}"] [data-f="status"]')).to_have_text("stopping")
    page.locator("#rows .pick input").check()
    page.click("[data-bulk=pin]")
    expect(page.locator("#pinned tr")).to_have_count(1)
    page.goto(runs.url)
    expect(page.locator("#pinned tr")).to_have_attribute("data-run", ids[2])
    page.check("#pick-all")
    expect(page.locator("#pinned .pick input")).to_be_checked()
    expect(page.locator("#pick-all")).to_be_checked()
    page.goto(f"{runs.url}/?pin=&column=")
    expect(page.locator("#pinned tr")).to_have_count(0)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/*")
