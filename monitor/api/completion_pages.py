"""Pages to read completions on: the samples of a training, filtered and compared."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from cusp.protocol.fields import Id
from monitor.actions.require import run_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.permissions import needs
from monitor.api.sample_queries import SamplesAskedDep
from monitor.database.engine import Transaction
from monitor.runs import sample_choice
from monitor.schemas import series
from monitor.schemas.base import Json
from monitor.schemas.run_data import RunData
from monitor.store.scores import completions
from webui import sample_pages

router = APIRouter(include_in_schema=False)

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
