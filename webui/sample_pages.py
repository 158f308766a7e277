"""Pages to read completions on: samples of a training, and the problems on which two checkpoints differ."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from webui.address import query_at
from webui.completions.completion_text import marked
from webui.completions.text_diff import compared as compared_texts
from webui.evaluated.benchmark_table import in_order
from webui.templating import render

Record = Mapping[str, Any]
Records = Sequence[Record]

EACH_SIDE = 10  # samples a page and side; monitor/runs/sample_choice.py


class SamplesFound(NamedTuple):
    """A page of samples on either side, how many were asked for on each, and how many are stored in all."""

    before: Records
    after: Records
    totals: tuple[int, int]
    stored: int
    rewards: Sequence[str]
    transition: int | None


class Pair(NamedTuple):
    """Which two checkpoints are asked for, on which task and set, and whether what differs is marked."""

    first: int | None
    second: int | None
    task: str | None
    split: str
    diff: bool


class Compared(NamedTuple):
    """Two samples with what differs marked in prompt and completion of each."""

    samples: tuple[Record, Record]
    prompts: tuple[Markup, Markup]
    completions: tuple[Markup, Markup]


def samples_page(
    run: Record, found: SamplesFound, asked: Record, *, page: int = 0, compared: Records = ()
) -> str:
    """Return the page of a run's samples; `asked` is the filter, `compared` none or two samples."""
    given = {name: value for name, value in asked.items() if value is not None}
    pages = -(-max(found.totals) // EACH_SIDE)

    def link(**more: Any) -> str:
        """Return the address of this page with other parameters."""
        kept = {name: None if value == 0 else value for name, value in {**given, **more}.items()}
        return query_at(f"/runs/{run['id']}/samples", kept)

    return render(
        "pages/samples.html",
        run=run,
        found=found,
        asked=asked,
        page=page,
        pages=pages,
        link=link,
        chosen=[each["key"] for each in compared],
        compared=_compared(compared),
    )


def _compared(samples: Records) -> Compared | None:
    """Return two samples compared, None where there are fewer."""
    if len(samples) < 2:
        return None
    one, other = samples[:2]
    prompts = compared_texts(one["prompt"], other["prompt"])
    texts = compared_texts(one["completion"], other["completion"])
    return Compared((one, other), prompts, texts)


def differences_page(
    run: Record,
    found: Record | None,
    asked: Pair,
    choices: Sequence[tuple[int, str]],
    *,
    after: str | None = None,
    refusal: str | None = None,
) -> str:
    """Return the page of the problems on which two checkpoints differ.

    `found` is a `Differences` of docs/reference/rest.md, None where `refusal` says why there is none; `choices` are
    the (step, task) pairs that were scored.
    """

    def link(**more: Any) -> str:
        """Return the address of this page with other parameters."""
        kept = {**asked._asdict(), "diff": 1 if asked.diff else None, **more}
        return query_at(f"/runs/{run['id']}/differences", kept)

    problems = (
        [] if found is None else [_side_by_side(one, asked.diff) for one in found["problems"]]
    )
    return render(
        "pages/differences.html",
        run=run,
        found=found,
        problems=problems,
        asked=asked,
        after=after,
        refusal=refusal,
        steps=sorted({step for step, _ in choices}),
        tasks=in_order({task for _, task in choices}),
        link=link,
    )


def _side_by_side(problem: Record, diff: bool) -> dict[str, Any]:
    """Return a problem with the texts of both sides as HTML, what differs marked where that is asked for."""
    sides = [[dict(each) for each in problem[name]["samples"]] for name in ("first", "second")]
    for one, other in zip(*sides, strict=False):
        texts = one["text"], other["text"]
        both = diff and None not in texts
        made = compared_texts(*texts) if both else tuple(marked(each) for each in texts)
        one["html"], other["html"] = made
    for left in (each for side in sides for each in side if "html" not in each):
        left["html"] = marked(left["text"])
    return {**problem, "sides": sides}
