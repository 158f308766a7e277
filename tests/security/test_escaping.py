"""Every text that a page can show is shown as text: each string of each record is made hostile, one by one.

No list of places: a field that is added to the records of `tests/webui/shapes.py` is tried too.
"""

import copy
import html
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from monitor.detector import Sample
from monitor.replay.page import page
from monitor.replay.replay import replay
from tests.webui import shapes
from tests.webui.markup import Page
from webui import descriptions, pages, sample_pages, table
from webui.charts import figures
from webui.templating import render

HOSTILE = "\"'><img src=x onerror=alert(1)></script><script>alert(2)</script>"
Place = tuple[Any, ...]
READ_BY = {
    "run_page": ("run", "data"),
    "runs_page": ("run",),
    "samples_page": (("data", "samples"), ("run", "name"), ("run", "project")),
    "differences_page": (("data", "differences"), ("run", "name"), ("run", "project")),
}
"""What of the records a page reads: parts of them, or places in them."""
LEAST_SHOWN = {"run_page": (100, 40), "runs_page": (30, 5), "samples_page": (6, 5)}
"""How many places are tried at least, and how many are shown."""
# Made hostile was a word of the monitor's own, or a name that the page needs.
UNKNOWN_SHAPE = (KeyError, TypeError, ValueError, AttributeError, UndefinedError)


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Yield where texts stand in a record; a place that ends in `...` is a key."""
    if isinstance(value, str):
        yield at
    elif isinstance(value, dict):
        for key, one in value.items():
            yield (*at, key, ...)
            yield from places(one, (*at, key))
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from places(one, (*at, index))


def spoiled(record: Any, place: Place) -> Any:
    """Return a copy with hostile text in one place."""
    made = copy.deepcopy(record)
    inner = made
    *way, last = place
    key = way.pop() if last is ... else None
    for step in way:
        inner = inner[step]
    if last is ...:
        inner[HOSTILE] = inner.pop(key)
    else:
        inner[last] = HOSTILE
    return made


def run_page(record: dict[str, Any]) -> str:
    data = {name: each for name, each in record["data"].items() if name != "differences"}
    return pages.run_page(record["run"], **data)


def runs_page(record: dict[str, Any]) -> str:
    return table.runs_page([record["run"]], project=None)


def samples_page(record: dict[str, Any]) -> str:
    shown = record["data"]["samples"]["samples"] * 2
    found = sample_pages.SamplesFound(shown, shown, (30, 30), 60, ["a", *shown[0]["rewards"]], 3)
    asked = {"first": None, "last": None, "reward": "a", "least": None, "most": None}
    return sample_pages.samples_page(record["run"], found, asked, page=1, compared=shown)


def differences_page(record: dict[str, Any]) -> str:
    asked = sample_pages.Pair(10, 20, "a task", "report", diff=True)
    choices = [(10, "a task"), (20, "another")]
    return sample_pages.differences_page(
        record["run"], record["data"]["differences"], asked, choices, after="a problem"
    )


def differing() -> dict[str, Any]:
    """A `Differences` of one problem, with two samples of the first side and one of the second."""
    row = {"sample": 0, "score": 1.0, "tokens": 3, "finish_reason": "stop", "seed": 1}
    texts = [{**row, "text": "It is 4.", "answer": "4"}, {**row, "text": "It is 5.", "answer": "5"}]
    side = {"evaluation_id": "E", "checkpoint_id": "C", "roles": ["a role"], "source": "worker"}
    return {
        "task": "a task",
        "split": "report",
        "first": {**side, "step": 10, "pass_at_1": 0.5},
        "second": {**side, "step": 20, "pass_at_1": 0.4},
        "compared": 3,
        "first_better": 1,
        "second_better": 0,
        "problems": [
            {"problem_id": "a problem", "question": "a question", "gold": "a gold"}
            | {"first": {"score": 1.0, "samples": texts}}
            | {"second": {"score": 0.0, "samples": texts[1:]}},
        ],
        "next": "a problem",
    }


def records() -> dict[str, Any]:
    run = shapes.run(tags=["a tag"], status_reason="a reason", config={"key": ["value"]})
    run["quarantine"] = [{"attempt": 1, "seq": 3, "reason": "a reason"}]
    run["left_out"] = {
        "metrics": [{"name": "a name", "reason": "why", "count": 2, "step": 5}],
        "more": 0,
        "fields": {"a field": 1},
        "start": ["a sentence"],
    }
    run["commands"] = [shapes.command(state_reason="a reason", author="a person")]
    run["change_points"] = [*run.get("change_points", [])]
    run["quarantined"] = 1
    run["decisions"] = [
        {"kind": "stop", "reason": "a reason", "author": "policy", "created_at": "2026-11-21T00:00:00Z",
         "checkpoint_step": 10, "step": 12},
    ]  # fmt: skip
    data = shapes.page_data()
    data["jobs"] = [
        {"id": "j", "kind": "train", "state": "failed", "error": "an error", "progress": None},
        {"id": "k", "kind": "train", "state": "leased", "error": None,
         "progress": {"done": 1, "total": 2, "text": "a text"}},
    ]  # fmt: skip
    data["audit"] = [
        {
            "at": "2026-11-21T00:00:00Z",
            "actor": "a",
            "action": "b",
            "target": "c",
            "detail": {"k": "v"},
        }
    ]
    data["comparison"] = {**data["comparison"], "reason": "a reason"}
    of_task = {"task": "a task", "difference": 0.1, "low": 0.0, "high": 0.2, "verdict": "better"}
    data["comparison"]["rows"][0]["tasks"] = [of_task]
    data["evaluations"] += [
        shapes.evaluation(20, 0.5, task="another", preset="a preset", source="me")
    ]
    data["checkpoints"][0]["scores"] = [
        {"task": "a task", "split": "report", "pass_at_1": 0.7, "low": 0.6, "high": 0.8, "n": 400}
    ]
    data["samples"] = shapes.samples(
        {"step": 3, "prompt": "p", "completion": "c", "rewards": {"a reward": 1.0}}
    )
    made = json.loads(json.dumps({**data, "differences": differing()}))
    return {"run": run, "data": made}


def clean(text: str) -> None:
    """Fail when hostile text has become an element, or has ended one."""
    page = Page(text)
    assert page.all("img") == []
    for script in page.all("script"):
        assert script.attributes.get("src") or script.attributes.get("type") == "application/json"
    names = {name for element in page.elements for name in element.attributes}
    assert not any(name.startswith("on") for name in names), names


@pytest.mark.parametrize("page_of", [run_page, runs_page, samples_page, differences_page])
def test_no_text_of_any_record_becomes_an_element(page_of: Callable[[dict[str, Any]], str]) -> None:
    shown = tried = 0
    sane = records()
    for place in places(sane):
        if place[0] not in READ_BY[page_of.__name__] and place[:2] not in READ_BY[page_of.__name__]:
            continue
        try:
            made = page_of(spoiled(sane, place))
        except UNKNOWN_SHAPE:
            continue
        tried += 1
        shown += "alert(1)" in html.unescape(made)
        clean(made)
    least = LEAST_SHOWN.get(page_of.__name__, (12, 8))
    assert (tried, shown) > least
    assert shown > least[1]


def test_what_is_said_of_a_transition_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Today these sentences hold nothing but our words and numbers; tomorrow they may hold a name."""
    monkeypatch.setattr(descriptions, "transition", lambda *_: HOSTILE)
    sane = records()
    sane["run"]["change_points"] = [
        {"kind": "length_turn", "step": 3, "low": 1, "high": 5, "state": "faded",
         "seen_at_step": 9, "words": f"c {HOSTILE}", "evidence": {}},
    ]  # fmt: skip
    made = run_page(sane)
    assert html.unescape(made).count("alert(1)") >= 2
    clean(made)


def test_no_text_of_any_record_becomes_a_tag_in_a_chart() -> None:
    """Plotly reads some tags, links among them, in what it draws."""
    sane = records()
    shown = 0
    for place in places(sane):
        try:
            run, data = (spoiled(sane, place)[part] for part in ("run", "data"))
            marked = figures.marks(run, data["checkpoints"], data["evaluations"], data["verdicts"])
            drawn = [
                figures.run_figures(data["series"], data["verdicts"], marked),
                *figures.other_figures(data["series"]),
            ]
        except UNKNOWN_SHAPE:
            continue
        texts = [text for figure in drawn for text in drawn_texts(figure)]
        shown += any("alert(1)" in html.unescape(text) for text in texts)
        assert not any("<img" in text for text in texts), place
    assert shown > 2


def drawn_texts(figure: Any) -> Iterator[str]:
    """Yield the texts of a figure that Plotly draws; `meta` and names of shapes are for our script."""
    if isinstance(figure, dict):
        for key, value in figure.items():
            if key in ("text", "hovertemplate", "title") or (key == "name" and "x" in figure):
                yield from (one for one in leaves(value))
            elif key not in ("meta", "cusp"):
                yield from drawn_texts(value)
    elif isinstance(figure, list):
        for one in figure:
            yield from drawn_texts(one)


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from leaves(one)


def test_pages_for_strangers_show_what_was_sent_as_text() -> None:
    clean(pages.login_page(HOSTILE))
    clean(pages.error_page(404, HOSTILE, HOSTILE))
    clean(table.runs_page([], project=HOSTILE))


def test_marks_cannot_end_the_element_they_stand_in() -> None:
    """They hold charted names only, today; the template does not rely on it."""
    found = Page(render("sections/marks.html", marks={HOSTILE: [HOSTILE]}))
    (script,) = found.all("script")
    assert json.loads(script.text) == {HOSTILE: [HOSTILE]}


def test_metrics_of_a_replayed_log_are_text_in_its_page() -> None:
    samples = [Sample(step, {"format_reward": 0.5, HOSTILE: 1.0 * step}) for step in range(1, 40)]
    text = page([("log.csv", replay(samples))])
    # plotly.js and our own script stand in it, too; what the log says begins after the first figure.
    said = text[text.index("<body") : text.index("<script>")]
    shown = Page(said)
    assert shown.all("img") == []
    texts = [one.text for one in shown.all("script")]
    assert not any("<" in text for text in texts), "`</script ` ends a script, too"
    found = [json.loads(text) for text in texts]
    assert any(figure["name"] == HOSTILE for figure in found if "name" in figure)


def test_only_our_own_sections_are_put_into_a_page_unescaped() -> None:
    found = {
        line.strip()
        for file in (Path(pages.__file__).parent / "templates").rglob("*.html")
        for line in file.read_text().splitlines()
        if "safe }}" in line.replace("|", "| ").replace("safe}}", "safe }}") or "autoescape" in line
    }
    assert found == {f"{{{{ sections.{name}|safe }}}}" for name in pages.SECTIONS if name != "row"}
