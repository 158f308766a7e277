"""Tokens: making, listing, revoking. The secret is in the answer that makes it and nowhere else."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from cusp.ids import new_id
from cusp.protocol.fields import Body, Id, Name
from monitor.actions import admin
from monitor.api.dependencies import ServiceDep
from monitor.api.keys import IdempotencyKey
from monitor.api.openapi import answers
from monitor.api.permissions import GrantDep, needs
from monitor.auth import grants
from monitor.auth.grants import Scope
from monitor.database.engine import Transaction
from monitor.errors import Conflict
from monitor.schemas import access
from monitor.schemas.base import Json
from monitor.services import Service
from monitor.store.access import tokens

router = APIRouter(tags=["tokens"])

_RESERVED = (grants.PERSON, "policy")
_OF_THIS_PROCESS = grants.new_secret()  # in place of CUSP_TOKEN where there is none


class TokenRequest(Body):
    """What the token is for, what it may do, and the project or run it is limited to."""

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]
    project: Name | None = None
    run_id: Id | None = None


@router.post(
    "/tokens",
    status_code=201,
    dependencies=[needs("admin")],
    responses=answers(access.NewToken, 409, status=201),
)
def create_token(
    asked: TokenRequest, service: ServiceDep, grant: GrantDep, key: IdempotencyKey = None
) -> Json:
    """Make a token; `token` in the answer is shown this once, and to a repeat with the same key."""
    if asked.name in _RESERVED:
        raise Conflict(f"{asked.name!r} names an author in the audit log already; choose another")

    def act(tx: Transaction) -> Json:
        token_id = new_id()
        made = admin.create_token(
            tx,
            service.clock(),
            grant.name,
            token_id=token_id,
            secret_hash=grants.hash_of(_secret(service, token_id, request)),
            name=asked.name,
            scopes=sorted(set(asked.scopes)),
            project=asked.project,
            run_id=asked.run_id,
        )
        return access.token(made)

    request = key or grants.new_secret()  # without a key the secret is as random as this
    answer = service.idempotent(key, ["create token", asked.model_dump()], act)
    return {
        **answer,
        "token": grants.format_token(answer["id"], _shown(service, answer["id"], request)),
    }


def _shown(service: Service, token_id: str, request: str) -> str:
    """Return the secret, made again: a stored answer holds none. Conflict if it is another by now."""
    secret = _secret(service, token_id, request)
    with service.database.read() as tx:
        row = tokens.get(tx, token_id)
    if row is None or not grants.matches(row.hash, grants.hash_of(secret)):
        raise Conflict(
            f"the token {token_id} was made under this Idempotency-Key, and its secret cannot be shown"
            " again since the monitor's own token changed; revoke it and make another"
        )
    return secret


def _secret(service: Service, token_id: str, request: str) -> str:
    return grants.derive_secret(service.config.token or _OF_THIS_PROCESS, token_id, request)


@router.get("/tokens", dependencies=[needs("admin")], responses=answers(access.Tokens))
def list_tokens(service: ServiceDep) -> Json:
    """Return the tokens without their secrets, newest first, revoked ones too."""
    with service.database.read() as tx:
        return {"tokens": [access.token(row) for row in tokens.listed(tx)]}


@router.delete("/tokens/{token_id}", dependencies=[needs("admin")], responses=answers(access.Token))
def revoke_token(token_id: Id, service: ServiceDep, grant: GrantDep) -> Json:
    """End a token for good; every monitor refuses it within seconds."""
    with service.database.write() as tx:
        row = admin.revoke_token(tx, token_id, service.clock(), grant.name)
    service.tokens.forget(token_id)
    return access.token(row)
