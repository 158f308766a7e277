"""Self-contained HTML page of replayed logs, with charts and verdicts."""

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from cusp.roles.assign import describe
from monitor.detector import Transition
from monitor.policy.verify import said
from monitor.replay.replay import Replay, series, verdict_columns
from monitor.replay.verified import ReplayedLook
from webui import format
from webui.charts import figures
from webui.standalone import inlined
from webui.templating import environment


def page(replays: Sequence[tuple[str, Replay]]) -> str:
    """Return the page of the named replays: about 5 MB, without external resources."""
    return (
        environment()
        .get_template("pages/replay.html")
        .render(
            sections=[_section(name, found) for name, found in replays],
            **inlined(("css/base.css", "css/replay.css")),
        )
    )


def _section(name: str, found: Replay) -> dict[str, Any]:
    columns, run = verdict_columns(found.verdicts), run_record(found)
    metrics = series(found.samples, found.roles)
    segments = found.opinion.records()
    marked = figures.marks(run, _flags(found.keep_step), [], columns)
    return {
        "name": name,
        "replay": found,
        "safe_words": keep_words(found),
        "role_words": describe(found.roles.assignment),
        "figure": _inert(figures.run_figures(metrics, columns, marked, segments)),
        "segments": segments,
        "looks": [_look(one) for one in found.looks],
        "others": [
            _inert(one) for one in figures.other_figures(metrics) if len(one["data"][1]["x"]) > 1
        ],
        "title": format.phase(found.verdict.phase),
    }


def _look(look: ReplayedLook) -> dict[str, Any]:
    outcome = look.outcome.replace("_", " ")
    return {**vars(look), "outcome": outcome, "compared": [said(one) for one in look.compared]}


def run_record(found: Replay) -> dict[str, Any]:
    """Return the fields of a `Run` (docs/reference/rest.md) that the charts need."""
    stop = {"kind": "stop", "state": "done", "step": found.stop_step}
    return {
        "transition": vars(found.transition) if found.transition else None,
        "commands": [stop] if found.stop_step is not None else [],
    }


def keep_words(found: Replay) -> str:
    """Return a sentence on the checkpoint to keep.

    Without known checkpoints it names the last safe step.
    """
    if found.keep_step is not None:
        return f"checkpoint {found.keep_step}"
    return safe_words(found.transition)


def safe_words(transition: Transition | None) -> str:
    """Return the sentence for the case that no checkpoint can be named."""
    if transition is None:
        return "–"
    return f"the last one saved at or before step {transition.safe_step}"


def _flags(keep_step: int | None) -> list[dict[str, Any]]:
    if keep_step is None:
        return []
    kept = {"step": keep_step, "state": "pinned", "pinned": True, "aliases": ["pre-transition"]}
    return [kept]


def _inert(figure: dict[str, Any]) -> Markup:
    """Return the figure as JSON that cannot close its script element."""
    text = json.dumps(figure, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
