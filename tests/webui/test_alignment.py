"""Lines of several runs over one axis, and the band of a group. Pure."""

import re

import pytest

from webui import assets
from webui.charts.comparison.alignment import Line, aligned, band
from webui.charts.comparison.compared import cost_figure, metric_figures


def test_a_line_keeps_only_numbers_and_lies_where_its_axis_says() -> None:
    lines = {
        "kl": {"steps": [1, 2, 4], "values": [1.0, float("nan"), 4.0]},
        "tokens": {"steps": [1, 3], "values": [100.0, 300.0]},
        "at": {"steps": [1], "values": [5.0]},
    }
    run = {"lines": lines, "transition": {"step": 3}}
    assert aligned(run, "kl", "step") == ([1, 4], [1.0, 4.0])
    assert aligned(run, "kl", "transition") == ([-2, 1], [1.0, 4.0])
    assert aligned(run, "kl", "tokens") == ([100, 300], [1.0, 4.0])
    assert aligned(run, "kl", "time") is None  # one time makes no axis
    assert aligned(run, "loss", "step") is None
    assert aligned(run | {"transition": None}, "kl", "transition") is None


def test_a_band_is_the_mean_of_the_lines_that_are_there() -> None:
    found = band([Line([0, 4], [0.0, 4.0]), Line([0, 2], [2.0, 4.0])])
    assert found.x == [0, 1, 2, 3, 4]
    assert found.mean == [1, 2, 3, 3, 4]
    assert found.high[0] - found.low[0] == pytest.approx(2 * 2**0.5, rel=1e-5)
    assert found.high[-1] == found.low[-1] == 4


def test_cost_is_in_dollars_only_where_all_scored_runs_have_a_price() -> None:
    score = {"pass_at_1": 0.5, "low": 0.4, "high": None}
    one = {"id": "a", "name": "a", "score": score, "spent_usd": 3.0, "elapsed_s": 7_200.0}
    assert cost_figure([one | {"score": None}]) is None
    priced = cost_figure([one])
    assert priced is not None
    assert priced["data"][0]["x"] == [3.0]
    mixed = cost_figure([one, one | {"spent_usd": None}])
    assert mixed is not None
    assert [trace["x"] for trace in mixed["data"]] == [[2.0], [2.0]]
    assert mixed["data"][0]["error_y"]["array"] == [0.0]


def test_a_band_is_transparent_and_lies_under_every_mean() -> None:
    lines = {"kl": {"steps": [1, 2], "values": [1.0, 2.0]}}
    runs = [{"id": str(n), "name": str(n), "group": str(n % 9), "lines": lines} for n in range(18)]
    (figure,) = metric_figures(runs, ["kl"], "step", grouped=True)
    bands, means = figure["data"][:18], figure["data"][18:]
    assert [one["name"] for one in means] == [f"{n} (2)" for n in range(9)]
    assert [one.get("fill") for one in bands] == [None, "tonexty"] * 9
    fills = {one["fillcolor"][1:].replace("_", "-") for one in bands if "fill" in one}
    css = assets.asset("css/base.css").body.decode()
    assert fills <= set(re.findall(r"--([a-z0-9-]+): rgb\([0-9 ]+/ \.2\);", css))


def test_averages_lie_over_pale_values_and_a_group_is_of_averages() -> None:
    lines = {"kl": {"steps": [1, 2, 3], "values": [0.0, 4.0, 4.0]}}
    runs = [{"id": n, "name": n, "group": "g", "lines": lines} for n in "ab"]
    (figure,) = metric_figures(runs, ["kl"], "step", grouped=False, smooth=0.5)
    pale, averages = figure["data"][:2], figure["data"][2:]
    assert [one["y"] for one in pale] == [[0.0, 4.0, 4.0]] * 2
    assert [one["opacity"] for one in pale] == [0.3, 0.3]
    assert averages[0]["y"] == pytest.approx([0.0, 8 / 3, 24 / 7], rel=1e-5)
    assert [one["name"] for one in averages] == ["a", "b"]
    (grouped,) = metric_figures(runs, ["kl"], "step", grouped=True, smooth=0.5)
    assert grouped["data"][-1]["y"] == pytest.approx([0.0, 8 / 3, 24 / 7], rel=1e-5)
