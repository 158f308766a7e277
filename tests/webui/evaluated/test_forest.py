import re
from typing import Any

import pytest

from tests.webui import shapes
from tests.webui.markup import Page
from webui import pages
from webui.evaluated.forest import MOST_TICKS, Axis, axis_of, bar, forest


def compared(**changes: Any) -> dict[str, Any]:
    made = shapes.comparison() | {"reference": {"role": "last", "step": 25}} | changes
    tasks = [
        {"task": "aime24", "difference": 0.5, "low": 0.1, "high": 0.9, "verdict": "better"},
        {"task": "math500", "difference": 0.0, "low": -0.1, "high": 0.1}
        | {"verdict": "not distinguishable"},
    ]
    made["rows"][0]["tasks"] = tasks
    return made


def places(svg: str, name: str) -> list[float]:
    return [float(x) for x in re.findall(rf'class="{name}" x1="([\d.]+)%"', svg)]


def test_the_rows_stand_by_step_with_the_reference_among_them_and_tasks_below_their_candidate() -> (
    None
):
    plot = forest(compared())
    assert plot is not None
    told = [(row.candidate["step"], row.task) for row in plot.rows]
    assert told == [(20, None), (20, "aime24"), (20, "math500"), (25, None), (30, None)]
    assert [row.is_reference for row in plot.rows] == [False, False, False, True, False]
    assert plot.several


def test_every_interval_the_margin_and_zero_lie_on_the_axis() -> None:
    rows = compared()["rows"]
    axis = axis_of([one for row in rows for one in (row, *row["tasks"])], 0.03)
    for value in (0.0, -0.03, 0.03, 0.9, -0.1):
        assert axis.low < value < axis.high
    assert 0 < axis.place(0.0) < axis.place(0.5) < 100


@pytest.mark.parametrize("reach", [0.0001, 0.004, 0.05, 0.3, 1.0])
def test_an_axis_has_few_round_ticks_and_one_at_zero(reach: float) -> None:
    ticks = Axis(-reach, reach).ticks
    assert 1 <= len(ticks) <= MOST_TICKS + 1
    assert 0.0 in ticks


def test_a_bar_shows_interval_fixed_set_margin_and_zero_in_their_places() -> None:
    found = {"difference": 0.1, "low": 0.0, "high": 0.2, "fixed_low": 0.05, "fixed_high": 0.15}
    svg = str(bar(found | {"verdict": "better"}, Axis(-0.2, 0.2), 0.02))
    assert places(svg, "zero") == [50.0]
    assert places(svg, "span") == [50.0]
    assert places(svg, "fixed") == [62.5]
    assert 'class="margin" x="45.00%" width="10.00%"' in svg
    assert 'svg x="75.00%"' in svg
    assert 'class="forest f-better"' in svg


def test_a_candidate_without_an_interval_has_a_mark_and_no_line() -> None:
    svg = str(bar({"difference": 0.0, "low": None, "high": None}, Axis(-1, 1), None))
    assert places(svg, "span") == []
    assert "margin" not in svg
    assert '<svg x="50.00%"' in svg


def test_a_verdict_that_is_none_of_ours_gets_no_class_of_its_own() -> None:
    assert 'class="forest f-none"' in str(bar({"verdict": '"><b>'}, Axis(-1, 1), None))


def test_the_drawing_is_hidden_from_readers_and_its_numbers_stand_beside_it() -> None:
    page = Page(pages.section("evaluations", shapes.run(), comparison=compared()))
    assert {e.attributes["aria-hidden"] for e in page.all("svg") if "class" in e.attributes} == {
        "true"
    }
    assert "step 20, aime24" in page.text
    assert "+50.0 +10.0 to +90.0" in page.text
    assert "would find 8.0" in page.text
    assert "within 3 points, where two count as equal" in page.text
    assert "reference" in page.text


def test_without_a_row_there_is_no_plot() -> None:
    assert forest(None) is None
    assert forest(shapes.comparison() | {"rows": []}) is None
