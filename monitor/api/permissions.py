"""Permission checks of the routes: `needs("control")` in their dependencies, and `GrantDep`.

A route without `needs` fails a test. A token that is limited to a project or a run reaches only routes
whose path names one of its runs (or something of one); a route that lists or announces runs declares
`filters=True` and looks at the grant itself. Any other route refuses it.
"""

from typing import Annotated, Any

from anyio import to_thread
from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer, SecurityScopes

from cusp.ids import is_id
from monitor.api.dependencies import ServiceDep
from monitor.auth.grants import Grant, Scope
from monitor.database.engine import Database, Transaction
from monitor.errors import Forbidden
from monitor.store import checkpoints, jobs, runs, verdicts

_BEARER = HTTPBearer(
    scheme_name="token", auto_error=False, description="CUSP_TOKEN, or one of `cusp token create`"
)


# These run at every request: as coroutines they cost no turn in a thread.
async def _grant(request: Request) -> Grant:
    grant: Grant = request.state.grant
    return grant


GrantDep = Annotated[Grant, Depends(_grant)]


def needs(scope: Scope, *, filters: bool = False) -> Any:
    """Return the dependency that refuses a grant without the scope, or one limited to other runs."""

    async def check(
        request: Request,
        service: ServiceDep,
        grant: GrantDep,
        _scopes: SecurityScopes,
        _scheme: Annotated[Any, Security(_BEARER)],
    ) -> None:
        if not grant.has(scope):
            has = ", ".join(sorted(grant.scopes)) or "none"
            raise Forbidden(f"this needs the scope {scope!r}; the token {grant.name!r} has {has}")
        if grant.limited and not filters:
            await to_thread.run_sync(_check_reach, service.database, grant, request.path_params)

    return Security(check, scopes=[scope])


def check_run(tx: Transaction, grant: Grant, run_id: str, project: str | None = None) -> None:
    """Raise Forbidden when the grant does not reach the run; `project` is used if it is not there."""
    if not grant.limited:
        return
    run = runs.get(tx, run_id)
    if not grant.reaches(run_id, run.project if run else project):
        raise Forbidden(f"the token {grant.name!r} is limited to {_limits(grant)}")


def _check_reach(database: Database, grant: Grant, path: dict[str, Any]) -> None:
    with database.read() as tx:
        run_id = _run_of(tx, path)
        if run_id is None:
            raise Forbidden(
                f"the token {grant.name!r} is limited to {_limits(grant)}; this needs one without limits"
            )
        check_run(tx, grant, run_id)


def _run_of(tx: Transaction, path: dict[str, Any]) -> str | None:
    """Return the run that the path names, itself or by something of it."""
    if not all(is_id(str(value)) for name, value in path.items() if name.endswith("_id")):
        return None
    if "run_id" in path:
        return str(path["run_id"])
    row = None
    if "checkpoint_id" in path:
        row = checkpoints.get(tx, path["checkpoint_id"])
    elif "change_point_id" in path:
        row = verdicts.change_point(tx, path["change_point_id"])
    elif "job_id" in path:
        row = jobs.get(tx, path["job_id"])
    return row.run_id if row is not None else None


def _limits(grant: Grant) -> str:
    limits = [f"project {grant.project!r}"] if grant.project is not None else []
    return " and ".join(limits + ([f"run {grant.run_id}"] if grant.run_id is not None else []))
