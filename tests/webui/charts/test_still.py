"""The picture of the charts that a run's page carries."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.webui import shapes
from tests.webui.charts.test_figures import empty_figure, figure
from webui.charts.still import StillAxis, round_values, still
from webui.pages import run_page


def drawn(svg: str, color: str) -> list[str]:
    """Return the paths of the lines in a colour."""
    return re.findall(rf'<path d="([^"]*)" stroke="var\(--{color}\)"', svg)


def test_the_picture_is_well_formed_and_has_no_style_or_script() -> None:
    root = ElementTree.fromstring(still(figure()))
    assert root.get("aria-hidden") == "true"
    for one in root.iter():
        assert one.tag not in ("style", "script")
        assert not {"style", "onload"} & set(one.keys())


def test_the_picture_shows_every_point_of_a_short_run() -> None:
    made = figure()
    (values,) = (
        trace
        for trace in made["data"]
        if trace["meta"] == {"role": "values", "metric": "format_reward"}
    )
    first = drawn(still(made), "format-reward")[0]
    moves = re.findall(r"-?\d+", first.partition("l")[2])
    assert len(moves) == 2 * (len(values["x"]) - 1)


def test_the_picture_has_the_titles_levels_flags_and_the_transition_of_the_figure() -> None:
    svg = still(figure())
    for text in ("Format reward", "Completion length, tokens", "transition 38", "confirm 36"):
        assert f">{text}</text>" in svg
    assert 'stroke="var(--transition)"' in svg
    assert 'fill="var(--flag-pre-transition)"' in svg
    assert 'fill="var(--band-adapted)"' in svg


def test_a_broken_line_stays_broken_and_a_step_is_upright() -> None:
    made = figure()
    level = next(trace for trace in made["data"] if trace["meta"]["role"] == "level")
    level |= {"x": [1, 20, 30, 60], "y": [36.0, 36.0, None, 40.0]}
    (path,) = drawn(still(made), "confirm")
    assert path.count("M") == 2
    level |= {"x": [1, 60], "y": [36.0, 72.0]}
    (path,) = drawn(still(made), "confirm")
    assert re.fullmatch(r"M0 \d+l2000 0 0 -\d+", path)


def test_a_value_beyond_every_axis_is_drawn_without_a_warning() -> None:
    made = figure()
    for trace in made["data"]:
        if trace["meta"]["role"] == "score_total":
            trace["y"] = [1e300] * len(trace["x"])
        if trace["meta"]["role"] in ("values", "average"):
            trace["y"] = [-1.7e308, *trace["y"][1:-1], 1.7e308]
    assert "nan" not in still(made)


def test_a_name_with_a_tag_is_text() -> None:
    made = figure()
    made["layout"]["annotations"][0]["text"] = "&lt;img src=x&gt; &amp; more"
    assert ">&lt;img src=x&gt; &amp; more</text>" in still(made)


def test_an_empty_run_has_no_picture() -> None:
    assert still(empty_figure()) == ""


def test_a_page_of_another_view_carries_no_picture() -> None:
    data = shapes.page_data()
    assert 'class="still"' in run_page(shapes.run(), **data)
    assert 'class="still"' not in run_page(shapes.run(), is_whole=False, **data)


def test_a_scale_holds_for_the_largest_floats() -> None:
    scale = StillAxis(-1.7e308, 1.7e308, 0.0, 100.0)
    assert scale.at(0.0) == pytest.approx(50.0)
    assert np.isfinite(scale.at(np.array([1.7e308]))).all()


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(1, 60, [10, 20, 30, 40, 50, 60]), (0.0, 0.0, []), (-1.7e308, 1.7e308, None)],
)
def test_the_numbers_on_an_axis_are_round(low: float, high: float, found: list[float]) -> None:
    values = round_values(low, high, 8)
    assert values == found if found is not None else len(values) <= 9
