"""Pages to read completions on: the samples of a training, and the answers where two checkpoints differ."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from cusp.protocol.fields import Id
from monitor.actions.require import run_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.permissions import needs
from monitor.api.routes.scores.differences import AfterProblem, Split, StepOf, Task
from monitor.api.sample_queries import SamplesAskedDep
from monitor.database.engine import Transaction
from monitor.errors import NotFound
from monitor.runs import sample_choice
from monitor.schemas import evaluation, series
from monitor.schemas.base import Json
from monitor.schemas.run_data import RunData
from monitor.schemas.scores import differences
from monitor.store.scores import completions
from webui import sample_pages

router = APIRouter(include_in_schema=False)

PROBLEMS_SHOWN, SAMPLES_SHOWN = 10, 2  # of 20,000 characters each at most: 0.8 MB a page

SampleKey = Annotated[str, Query(pattern=r"^[0-9]{1,5}\.[0-9]{1,16}$")]


@router.get("/runs/{run_id}/samples", response_class=HTMLResponse, dependencies=[needs("read")])
def samples_page(
    run_id: Id,
    service: ServiceDep,
    asked: SamplesAskedDep,
    page: Annotated[int, Query(ge=0, le=100_000)] = 0,
    compare: Annotated[list[SampleKey] | None, Query(max_length=200)] = None,
) -> str:
    """Every stored sample of a run, before and after the transition; two of them compared."""
    chosen = [_key(each) for each in (compare or [])[:2]]
    with service.database.read() as tx:
        data = RunData(tx, run_or_404(tx, run_id))
        rows = completions.without_text(tx, run_id)
        transition = sample_choice.transition_step(data.run.verdict)
        sides = sample_choice.sides(rows, asked, transition, page)
        shown = [
            _with_text(tx, data, [(r.attempt_key, r.seq) for r in side.rows]) for side in sides
        ]
        compared = _with_text(tx, data, chosen)
        run = {"id": data.run.id, "name": data.run.name, "project": data.run.project}
    found = sample_pages.SamplesFound(
        before=shown[0],
        after=shown[1],
        totals=(sides[0].total, sides[1].total),
        stored=len(rows),
        rewards=sample_choice.reward_names(rows),
        transition=transition,
    )
    return sample_pages.samples_page(run, found, asked._asdict(), page=page, compared=compared)


def _key(text: str) -> completions.Key:
    attempt, _, seq = text.partition(".")
    return int(attempt), int(seq)


def _with_text(tx: Transaction, data: RunData, keys: list[completions.Key]) -> list[Json]:
    """Return the `Sample`s of these keys in their order, each with its `key`."""
    found = completions.with_text(tx, data.run.id, keys)
    return [
        {**series.sample(found[key], data.numbers), "key": f"{key[0]}.{key[1]}"}
        for key in keys
        if key in found
    ]


@router.get("/runs/{run_id}/differences", response_class=HTMLResponse, dependencies=[needs("read")])
def differences_page(
    run_id: Id,
    service: ServiceDep,
    first: StepOf | None = None,
    second: StepOf | None = None,
    task: Task | Literal[""] | None = None,
    split: Split = "report",
    after: AfterProblem | None = None,
    diff: bool = False,
) -> str:
    """Problems on which two checkpoints differ, with the completions of both side by side."""
    with service.database.read() as tx:
        data = RunData(tx, run_or_404(tx, run_id))
        scored = [row for row in data.evaluations if row.split == split]
        usual = _usual_pair(data, sorted({row.step for row in scored}))
        one = first if first is not None else usual[0]
        other = second if second is not None else usual[1]
        asked = sample_pages.Pair(one, other, task or None, split, diff)
        found, refusal = _differing(tx, run_id, asked, after)
        run = {"id": data.run.id, "name": data.run.name, "project": data.run.project}
    choices = sorted({(row.step, row.task) for row in scored})
    return sample_pages.differences_page(run, found, asked, choices, after=after, refusal=refusal)


def _differing(
    tx: Transaction, run_id: str, asked: sample_pages.Pair, after: str | None
) -> tuple[Json | None, str | None]:
    """Return the `Differences` asked for, or why there are none; neither without two steps."""
    if asked.first is None or asked.second is None:
        return None, None
    try:
        found = differences.differences(
            tx,
            run_id,
            (asked.first, asked.second),
            task=asked.task,
            split=asked.split,
            after=after,
            limit=PROBLEMS_SHOWN,
            samples=SAMPLES_SHOWN,
        )
    except NotFound as error:
        return None, str(error)
    return found, None


def _usual_pair(data: RunData, steps: list[int]) -> tuple[int | None, int | None]:
    """Return the reference of the latest comparison and the last other step, None where there is none."""
    compared = evaluation.comparison(data) or {}
    reference = (compared.get("reference") or {}).get("step")
    one = reference if reference in steps else (steps[0] if steps else None)
    return one, next((step for step in reversed(steps) if step != one), None)
