"""Comparing runs in a real browser: from the table, over each axis, by group, as a file; and the API page."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from monitor.settings import MonitorConfig
from tests.messages import Json, Trainer, point, transition
from tests.serving import serving

NAMES = ("first", "<img src=x onerror=alert(1)>", "late")
BEGAN = 1_700_000_000.0


class Compared:
    """A monitor with three runs: two that turned at step 60, and one that never did and is half as fast."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=30)
        self.runs = []
        for number, name in enumerate(NAMES):
            config = {"seed": number, "optim": {"lr": 0.5 if number else 0.25}, "same": 1}
            trainer = Trainer(self.client, name=name, project="tina", config=config)  # type: ignore[arg-type]
            if number < 2:
                transition(trainer)
            steps = [
                point(step, kl=step / 10 + number, tokens=100.0 * step) for step in range(100, 121)
            ]
            trainer.send(*({**one, "at": BEGAN + 3_600 * place} for place, one in enumerate(steps)))
            self.runs.append(trainer)
        self.ids = [one.run_id for one in self.runs]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    with serving(MonitorConfig(str(tmp_path_factory.mktemp("compare") / "cusp.db"))) as served:
        made = Compared(served.url)
        yield made
        made.client.close()


def drawn(page: Page) -> list[list[Json]]:
    """Return the traces of each chart as plotly has them."""
    page.wait_for_function("[...document.querySelectorAll('.compare-chart')].every((d) => d.data)")
    text = page.evaluate(
        "JSON.stringify([...document.querySelectorAll('.compare-chart')].map((d) => d.data.map("
        "({name, x, y}) => ({name, x: [...x], y: [...y]}))))"
    )
    found: list[list[Json]] = json.loads(text)
    return found


def test_runs_selected_in_the_table_are_overlaid_by_step_time_tokens_and_transition(
    page: Page, compared: Compared
) -> None:
    page.goto(f"{compared.url}/?project=tina")
    for key in "jxjxjxc":
        page.keyboard.press(key)
    page.wait_for_url("**/compare?runs=*")
    expect(page.locator(".compared tbody tr")).to_have_count(3)
    assert page.locator(".compared tbody th a").all_inner_texts() == list(reversed(NAMES))
    page.goto(f"{compared.url}/compare?runs={','.join(compared.ids)}&metric=kl")
    (kl,) = drawn(page)
    assert [len(one["x"]) for one in kl] == [21, 21, 21]
    assert kl[0]["x"][0] == 100
    page.select_option("select[name=x]", "time")
    page.wait_for_url("**x=time**")
    assert drawn(page)[0][0]["x"] == [float(hour) for hour in range(21)]
    page.select_option("select[name=x]", "tokens")
    page.wait_for_url("**x=tokens**")
    assert drawn(page)[0][1]["x"][:2] == [10_000, 10_100]
    page.select_option("select[name=x]", "transition")
    page.wait_for_url("**x=transition**")
    turned = compared.runs[0].get()["transition"]["step"]
    assert drawn(page)[0][0]["x"][0] == 100 - turned
    expect(page.locator(".warn[role=status]")).to_contain_text("late, for want of a transition")
    assert page.locator(".differ tbody th").all_inner_texts() == ["optim.lr", "seed"]
    page.reload()
    expect(page.locator("select[name=x]")).to_have_value("transition")
    page.locator("input[name=smooth]").fill("0.9")
    page.wait_for_url("**smooth=0.9**")
    (smooth,) = drawn(page)
    values, averages = smooth[:2], smooth[2:]  # pale below their averages
    assert averages[0]["y"][0] == values[0]["y"][0]
    assert max(averages[0]["y"]) < max(values[0]["y"])


def test_groups_have_a_mean_and_a_band_and_the_file_draws_the_same_without_a_monitor(
    page: Page, compared: Compared, tmp_path: Path
) -> None:
    address = f"/compare?runs={','.join(compared.ids)}&metric=kl&group=optim.lr"
    page.goto(compared.url + address)
    (kl,) = drawn(page)
    assert [one.get("name") for one in kl if one.get("name")] == ["0.25 (1)", "0.5 (2)"]
    (low, high), mean = kl[2:4], kl[-1]  # all bands lie below the means
    assert mean["y"][0] == pytest.approx(10 + 1.5)
    assert high["y"][0] - low["y"][0] == pytest.approx(2 * 0.5**0.5, rel=1e-4)
    for name, begins in (
        ("lines (CSV)", "metric,run,run_id,x,value,smoothing\nkl,0.25 (1),,100,10,0"),
        ("charts (SVG)", "<svg"),
    ):
        with page.expect_download() as saved:
            page.get_by_role("button", name=name).click()
        assert saved.value.path().read_text().startswith(begins)
    page.goto(f"{compared.url}{address}&smooth=0.9")
    with page.expect_download() as saved:
        page.get_by_role("button", name="lines (CSV)").click()
    _, *means = csv.DictReader(saved.value.path().read_text().splitlines())
    assert {line["smoothing"] for line in means} == {"0.9"}
    page.goto(compared.url + address)
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download as one HTML file").click()
    file = tmp_path / "report.html"
    loading.value.save_as(file)
    page.goto(file.as_uri())
    assert drawn(page) == [kl]
    assert page.locator(".compared a").count() == 0
    assert page.locator("img").count() == 0


def test_the_lines_are_saved_with_the_runs_ids_also_where_no_chart_can_be_drawn(
    page: Page, compared: Compared
) -> None:
    twins = [
        Trainer(compared.client, name="tw&in", project="twins")  # type: ignore[arg-type]
        for _ in range(2)
    ]
    for number, twin in enumerate(twins):
        twin.send(*(point(step, kl=float(number)) for step in range(1, 4)))
    page.route("**/plotly*.js", lambda route: route.abort())
    page.goto(f"{compared.url}/compare?runs={','.join(one.run_id for one in twins)}&metric=kl")
    expect(page.locator("#chart-fault")).to_contain_text("The charts cannot be drawn")
    with page.expect_download() as saved:
        page.get_by_role("button", name="lines (CSV)").click()
    lines = list(csv.reader(saved.value.path().read_text().splitlines()))
    assert lines[1:] == [
        ["kl", "tw&in", twin.run_id, str(step), str(number), "0"]
        for number, twin in enumerate(twins)
        for step in range(1, 4)
    ]
    page.evaluate("document.getElementById('chart-fault').hidden = true")
    page.get_by_role("button", name="charts (PNG)").click()
    expect(page.locator("#chart-fault")).to_contain_text("The charts cannot be drawn")


def test_what_cannot_be_compared_is_said(page: Page, compared: Compared) -> None:
    page.goto(f"{compared.url}/compare")
    expect(page.locator(".empty")).to_contain_text("No run is chosen")
    page.goto(f"{compared.url}/compare?runs=01ARZ3NDEKTSV4RRFFQ69G5FAV,{compared.ids[0]}")
    expect(page.locator(".warn[role=status]").first).to_have_text(
        "1 of the runs asked for is not here."
    )
    assert httpx.get(f"{compared.url}/compare?runs=nonsense").status_code == 422
