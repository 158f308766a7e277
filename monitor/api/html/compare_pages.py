"""The comparison of runs: a page whose address holds all of it, and a file that stands alone."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from pydantic import AfterValidator

from cusp.ids import is_id
from cusp.protocol.fields import MAX_NAME_LENGTH, NO_NUL, storable
from monitor.api.dependencies import ServiceDep
from monitor.api.html import compare_data
from monitor.api.permissions import GrantDep, check_run, needs
from monitor.clock import when
from monitor.schemas.base import Json
from monitor.services import Service
from webui import compare

router = APIRouter(include_in_schema=False)
MOST_RUNS = 32  # colour and dash tell so many lines apart
MOST_METRICS = 12
_Name = Annotated[
    str, Query(max_length=MAX_NAME_LENGTH, json_schema_extra=NO_NUL), AfterValidator(storable)
]


def comparison(
    runs: Annotated[str, Query(max_length=4_000)] = "",
    metric: Annotated[list[_Name] | None, Query(max_length=MOST_METRICS)] = None,
    x: Literal["step", "transition", "time", "tokens"] = "step",
    group: _Name = "",
    smooth: Annotated[float, Query(ge=0, le=0.99)] = 0.0,
) -> Json:
    """Return what is compared; RequestValidationError when the runs are no ids, or too many."""
    ids = list(dict.fromkeys(one.strip() for one in runs.split(",") if one.strip()))
    if wrong := next((one for one in ids if not is_id(one)), None):
        raise _invalid(
            f"{wrong[:60]!r} is no id of a run; the runs are ids with commas between them"
        )
    if len(ids) > MOST_RUNS:
        raise _invalid(f"{len(ids)} runs; {MOST_RUNS} can be compared at once")
    names = [one for one in metric or compare_data.DEFAULT_METRICS if one]
    return {
        "runs": ids,
        "metric": names,
        "x": x,
        "group": group,
        "smooth": smooth,
    }


ComparisonDep = Annotated[dict[str, Any], Depends(comparison)]


@router.get("/compare", response_class=HTMLResponse, dependencies=[needs("read", filters=True)])
def compare_page(service: ServiceDep, grant: GrantDep, asked: ComparisonDep) -> str:
    """Runs overlaid, their configurations' differences, scores, cost and kept checkpoints."""
    found, known = _read(service, grant, asked)
    missing = len(asked["runs"]) - len(found)
    return compare.compare_page(found, asked, known=known, missing=missing)


@router.get("/compare/report", dependencies=[needs("read", filters=True)])
def compare_report(service: ServiceDep, grant: GrantDep, asked: ComparisonDep) -> Response:
    """The same as a file to download."""
    found, _ = _read(service, grant, asked)
    made = compare.report(found, asked, str(when(service.clock())))
    named = {"Content-Disposition": 'attachment; filename="cusp-comparison.html"'}
    return Response(made, media_type="text/html; charset=utf-8", headers=named)


def _read(service: Service, grant: Any, asked: Json) -> tuple[list[Json], list[str]]:
    with service.database.read() as tx:
        for run_id in asked["runs"]:
            check_run(tx, grant, run_id)
        return compare_data.read(tx, service, asked["runs"], asked["metric"], asked["group"])


def _invalid(words: str) -> RequestValidationError:
    return RequestValidationError([{"type": "value", "loc": ("query", "runs"), "msg": words}])
