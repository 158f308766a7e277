"""Tokens: making, listing, revoking. The secret is in the answer that makes it and nowhere else."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from cusp.ids import new_id
from cusp.wire import Id, Name
from monitor import auth, shapes, views
from monitor.access import GrantDep, needs
from monitor.auth import Grant, Scope
from monitor.openapi import answers
from monitor.problems import Conflict, NotFound
from monitor.service import ServiceDep
from monitor.store import audit, tokens
from monitor.store.database import Transaction

router = APIRouter(tags=["tokens"])
Json = dict[str, Any]
_RESERVED = (auth.PERSON, "policy")


class TokenRequest(BaseModel):
    """What the token is for, what it may do, and the project or run it is limited to."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]
    project: Name | None = None
    run_id: Id | None = None


@router.post(
    "/tokens",
    status_code=201,
    dependencies=[needs("admin")],
    responses=answers(shapes.NewToken, 409, status=201),
)
def create_token(asked: TokenRequest, service: ServiceDep, grant: GrantDep) -> Json:
    """Make a token; `token` in the answer is shown this once."""
    if asked.name in _RESERVED:
        raise Conflict(f"{asked.name!r} names an author in the audit log already; choose another")
    secret = auth.new_secret()
    row = {
        "id": new_id(),
        "name": asked.name,
        "hash": auth.hashed(secret),
        "scopes": sorted(set(asked.scopes)),
        "project": asked.project,
        "run_id": asked.run_id,
        "created_at": service.clock(),
        "created_by": grant.name,
    }
    with service.database.write() as tx:
        made = tokens.add(tx, row)
        limits = {"scopes": row["scopes"], "project": asked.project, "run_id": asked.run_id}
        detail = {"name": asked.name, **limits}
        _note(tx, service.clock(), grant, "create token", made.id, detail)
    return {**views.token(made), "token": auth.written(made.id, secret)}


@router.get("/tokens", dependencies=[needs("admin")], responses=answers(shapes.Tokens))
def list_tokens(service: ServiceDep) -> Json:
    """Return the tokens without their secrets, newest first, revoked ones too."""
    with service.database.read() as tx:
        return {"tokens": [views.token(row) for row in tokens.listed(tx)]}


@router.delete("/tokens/{token_id}", dependencies=[needs("admin")], responses=answers(shapes.Token))
def revoke_token(token_id: Id, service: ServiceDep, grant: GrantDep) -> Json:
    """End a token for good; every monitor refuses it within seconds."""
    with service.database.write() as tx:
        row = tokens.revoke(tx, token_id, service.clock(), grant.name)
        if row is None:
            raise NotFound(f"there is no token {token_id!r} here")
        _note(tx, service.clock(), grant, "revoke token", token_id, {"name": row.name})
    service.tokens.forget(token_id)
    return views.token(row)


def _note(
    tx: Transaction, now: float, grant: Grant, action: str, target: str, detail: Json
) -> None:
    audit.add(tx, None, now, actor=grant.name, action=action, target=target, detail=detail)
