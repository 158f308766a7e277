"""A person tells the roles of a run: they are stored, and everything is folded anew under them."""

from collections.abc import Mapping, Sequence
from typing import Any

from cusp.roles.assign import check_roles
from monitor.actions import decisions
from monitor.actions.record import record
from monitor.database.engine import Transaction
from monitor.store import changes, points, runs
from monitor.verdicts.cache import DetectorCache, DetectorState
from monitor.verdicts.update import follow

Told = Mapping[str, Sequence[str]]


def set_roles(
    tx: Transaction, run: Any, folds: DetectorCache, told: Told, now: float, actor: str
) -> DetectorState | None:
    """Set the told roles of a locked run; return the state to remember, None if nothing changed.

    RoleError is raised for a role that there is not and for a key that the run has never logged; a run
    that has logged nothing yet takes any key.
    """
    numbers = points.names(tx, run.id)
    check_roles(told, [name for name in numbers if name != points.AT])
    before = run.metadata.get("roles") or {}
    after = {role: list(keys) for role, keys in told.items()}
    if after == before:
        return None
    runs.change(tx, run.id, metadata={**run.metadata, "roles": after})
    detail = {"roles": after, "before": before}
    record(tx, "run.roles_told", run.id, now, by=actor, detail=detail)
    changed = runs.get(tx, run.id)
    assert changed is not None
    cuts = runs.cuts(runs.attempts_of(tx, run.id))
    followed = follow(tx, changed, folds, cuts, numbers, 0)
    news = [
        *followed.news,
        ("changed", {"section": "roles"}),
        ("changed", {"section": "decisions"}),
    ]
    if ("rewind", {"step": 0}) not in news:
        news.insert(0, ("rewind", {"step": 0}))
    changes.add_all(tx, run.id, [*news, ("run", {})], followed.values)
    decisions.carry_out(tx, run.id, followed.verdict, now, ended=False)
    return followed.state
