import json
from itertools import pairwise
from typing import Any

import pytest

from tests.webui import shapes
from webui.charts import figures, layout, traces
from webui.charts.series import MAX_POINTS, downsample, smoothed, weight_for

AXES = ("yaxis", "yaxis2", "yaxis3", "yaxis4")


def figure(**changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "series": shapes.all_series(),
        "verdicts": shapes.verdicts(),
        "run": shapes.run(),
        "checkpoints": shapes.checkpoints(),
        "evaluations": [shapes.evaluation(20, 0.718)],
    }
    data |= changes
    marked = figures.marks(data["run"], data["checkpoints"], data["evaluations"], data["verdicts"])
    return figures.run_figures(data["series"], data["verdicts"], marked)


def empty_figure() -> dict[str, Any]:
    return figures.run_figures([], None, figures.marks(shapes.bare_run(), [], [], None))


def trace(made: dict[str, Any], **meta: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = [t for t in made["data"] if t["meta"] == meta]
    return found


def shape(made: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = [s for s in made["layout"]["shapes"] if s["name"] == name]
    return found


def test_four_charts_stand_above_each_other_on_one_x_axis() -> None:
    made = figure()
    assert all("xaxis" not in t or t["xaxis"] == "x" for t in made["data"])
    assert {t["yaxis"] for t in made["data"]} == {"y", "y2", "y3", "y4", "y5"}
    spans = [made["layout"][axis]["domain"] for axis in AXES]
    assert all(upper[0] > lower[1] for upper, lower in pairwise(spans))
    assert {made["layout"][axis]["anchor"] for axis in AXES} == {"x"}


def test_a_figure_is_plain_json() -> None:
    assert json.loads(json.dumps(figure(), allow_nan=False)) == figure()


def test_each_stretch_of_a_phase_is_one_band() -> None:
    bands = [s for s in figure()["layout"]["shapes"] if s["name"].startswith("phase:")]
    assert [(b["name"], b["x0"], b["x1"]) for b in bands] == [
        ("phase:adapting", 1, 20),
        ("phase:adapted", 20, 45),
        ("phase:past", 45, 60),
    ]


def test_the_transition_is_an_interval_and_a_line() -> None:
    made = figure()
    interval, line = shape(made, "transition:interval"), shape(made, "transition:step")
    assert (interval["x0"], interval["x1"]) == (33, 42)
    assert (line["x0"], line["x1"], line["line"]["dash"]) == (38, 38, "solid")
    assert "transition 38" in [a["text"] for a in made["layout"]["annotations"]]


def test_a_provisional_transition_is_dotted_and_a_dismissed_one_is_not_drawn() -> None:
    maybe = figure(run=shapes.run(transition=shapes.transition(state="provisional")))
    assert shape(maybe, "transition:step")["line"]["dash"] == "dot"
    gone = figure(run=shapes.run(transition=shapes.transition(state="dismissed")))
    assert not any(s["name"].startswith("transition") for s in gone["layout"]["shapes"])


def test_the_stop_is_drawn_where_it_took_effect() -> None:
    assert shape(figure(), "stop")["x0"] == 60
    waiting = figure(run=shapes.run(commands=[shapes.command(state="open", step=None)]))
    assert not any(s["name"] == "stop" for s in waiting["layout"]["shapes"])


def test_every_metric_that_may_give_evidence_has_a_line_from_the_start() -> None:
    made = empty_figure()
    drawn = [t["meta"]["metric"] for t in made["data"] if t["meta"]["role"] == "evidence"]
    assert drawn == [*traces.ALWAYS_DRAWN]


def test_watch_and_confirm_are_lines_on_the_evidence() -> None:
    made = figure()
    levels = {name: shape(made, f"limit:{name}") for name in ("watch", "confirm")}
    assert {name: (s["yref"], s["y0"]) for name, s in levels.items()} == {
        "watch": ("y4", 20.0),
        "confirm": ("y4", 36.0),
    }


def test_checkpoints_are_flagged_by_what_matters_most() -> None:
    made = figure()
    assert trace(made, role="flag", flag="present")["x"] == [10]
    assert trace(made, role="flag", flag="best")["x"] == [20]
    flagged = trace(made, role="flag", flag="pre-transition")
    assert flagged["text"] == ["checkpoint 30 (pinned, pre-transition)"]


def test_a_missing_checkpoint_has_no_flag() -> None:
    flags = [t for t in figure()["data"] if t["meta"]["role"] == "flag"]
    assert 40 not in [step for t in flags for step in t["x"]]


def test_held_out_scores_carry_their_intervals_on_the_accuracy_chart() -> None:
    found = trace(figure(), role="score", split="report")
    assert (found["yaxis"], found["x"], found["y"]) == ("y3", [20], [0.718])
    assert found["error_y"]["array"] == [pytest.approx(0.04)]
    assert found["error_y"]["arrayminus"] == [pytest.approx(0.05)]


def test_the_report_set_speaks_for_a_step_that_both_sets_scored() -> None:
    both = [shapes.evaluation(20, 0.718), shapes.evaluation(20, 0.73, "selection")]
    made = figure(evaluations=[*both, shapes.evaluation(30, 0.5, "selection")])
    assert trace(made, role="score", split="selection")["x"] == [30]


def test_an_evaluation_without_a_score_is_not_drawn() -> None:
    failed = shapes.evaluation(20, 0.5) | {"pass_at_1": None, "low": None, "high": None}
    assert trace(figure(evaluations=[failed]), role="score", split="report")["x"] == []


def test_superseded_points_are_apart_and_grey() -> None:
    found = trace(figure(), role="superseded", metric="format_reward")
    assert (found["x"], found["y"]) == ([26, 27, 28], [0.1, 0.2, 0.3])
    assert found["marker"]["color"] == "@superseded"


def test_values_that_are_not_numbers_are_left_out() -> None:
    values = [0.5 for _ in shapes.STEPS]
    values[3] = float("nan")
    made = figure(series=[shapes.series("format_reward", values)])
    assert 4 not in trace(made, role="values", metric="format_reward")["x"]
    json.dumps(made, allow_nan=False)


def test_a_chart_without_its_metric_says_so() -> None:
    made = figure(series=[shapes.series("format_reward")])
    texts = " ".join(a["text"] for a in made["layout"]["annotations"])
    assert "Completion length, tokens (not logged)" in texts


def test_the_reward_stands_in_for_an_accuracy_that_is_not_logged() -> None:
    made = figure(series=[shapes.series("format_reward"), shapes.series("reward")])
    assert trace(made, role="values", metric="reward")["yaxis"] == "y3"


def test_an_empty_run_has_a_figure() -> None:
    made = empty_figure()
    assert made["cusp"]["last_step"] is None
    assert all(t["x"] == [] for t in made["data"])
    assert made["layout"]["shapes"] == []


def test_the_other_metrics_have_small_figures_of_their_own() -> None:
    assert [one["name"] for one in figures.other_figures(shapes.all_series())] == ["grad_norm"]


def test_marks_replace_exactly_the_traces_of_the_figure_that_they_name() -> None:
    made = figure()
    marks = figures.marks(shapes.run(), shapes.checkpoints(), [], shapes.verdicts())
    for one in marks["traces"]:
        trace(made, **one["meta"])
    bands = [s for s in made["layout"]["shapes"] if s["name"].startswith("phase:")]
    assert [*bands, *marks["shapes"]] == made["layout"]["shapes"]


def test_the_average_looks_only_back_and_starts_at_the_first_value() -> None:
    values = [1.0, 0.0, 0.0, 1.0]
    assert smoothed(values)[0] == 1.0
    assert smoothed(values)[:3] == smoothed(values[:3])
    assert smoothed([0.4] * 9) == [0.4] * 9


def test_a_longer_run_is_averaged_over_more_steps_within_limits() -> None:
    weights = [weight_for(count) for count in (0, 10, 400, 100_000)]
    assert weights == [0.25, 0.25, 0.1, 0.02]


def test_names_are_text_for_the_charts_too() -> None:
    hostile = "<a href='https://evil.example'>"
    made = figures.other_figures([shapes.series(hostile)])[0]
    flagged = figure(checkpoints=[shapes.checkpoint(10, (hostile,))])
    shown = [made["layout"]["title"]["text"], *(t["name"] for t in made["data"])]
    shown += trace(flagged, role="flag", flag="pinned")["text"]
    assert len(shown) == 5
    assert not any("<" in text for text in shown)


def test_thinning_never_drops_an_extreme_or_an_end() -> None:
    values = [0.5] * 50_000
    values[31_337], values[12_345] = 0.0, 1.0
    kept = downsample(values)
    assert len(kept) <= MAX_POINTS + 2
    assert {0, 12_345, 31_337, 49_999} <= set(kept)
    assert kept == sorted(kept)


def test_no_button_of_the_charts_sends_them_to_others() -> None:
    buttons = {name for group in layout.CONFIG["modeBarButtons"] for name in group}
    assert buttons == {"toImage", "zoom2d", "pan2d", "resetScale2d"}
    assert layout.CONFIG["displaylogo"] is False
    assert layout.CONFIG["showTips"] is False
