"""Stores the last, least and greatest value of each series of a run, a few seconds after it changed.

It is done here and not with each batch, as nothing but the columns of the runs table needs it. Only the points
that are new are read, again from `AGAIN` steps before the last: points may come late.
"""

import json
import threading
import time
import zlib
from collections.abc import Mapping, Set
from typing import Any

from monitor.database.engine import Database, Transaction
from monitor.roles.role_series import RoleSeries, role_series
from monitor.roles.stored_series import as_shown
from monitor.store import points, runs
from monitor.store.table import run_values
from monitor.store.table.run_values import Extent

SUMMARISE_EVERY_S = 2.0
LOOK_EVERY = 30  # turns between two looks for runs that another monitor's death left behind
MOST_A_TURN = 500
AGAIN = 200
# What one run's values take is followed by so many times as long without any: 50 live runs, each of which has changed
# after two seconds, cost as much as storing their steps. So their columns are some seconds behind, and all of a turn's
# at most `ROUND_S`. One long run, read whole as it ended, keeps the others waiting for `LONGEST_REST_S`, not for all
# of a round.
REST, ROUND_S, LONGEST_REST_S = 20.0, 30.0, 2.0


class Summaries:
    """The runs to look at; `note` takes those that changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: set[str] = set()
        self._lock = threading.Lock()
        self._working = threading.Lock()
        self._turns = 0
        self.closing = threading.Event()

    def note(self, run_ids: Set[str]) -> None:
        """Remember runs that changed. Called after each commit."""
        with self._lock:
            self._waiting |= run_ids

    def paced_turn(self) -> int:
        """Do a turn at leisure: the thread's way."""
        return self.turn(rest=REST)

    def turn(self, rest: float = 0.0) -> int:
        """Bring the values of the runs that changed up to date; return how many runs were looked at.

        After each it rests `rest` times as long as that took, `LONGEST_REST_S` seconds at most.
        """
        if self._turns % LOOK_EVERY == 0:
            with self._database.read() as tx:
                self.note(set(run_values.stale(tx, MOST_A_TURN)))
        self._turns += 1
        with self._lock:
            now = sorted(self._waiting)[:MOST_A_TURN]
        if len(now) == MOST_A_TURN:
            self._turns = 0  # there may be more: look at the next turn
        for run_id in now:
            if self.closing.is_set():
                break
            began = time.monotonic()
            self._summarise_waiting(run_id)
            took = time.monotonic() - began
            self.closing.wait(min(rest * took, ROUND_S / len(now), LONGEST_REST_S))
        return len(now)

    def _summarise_waiting(self, run_id: str) -> None:
        """Bring a run up to date that still waits; return once nobody is at it any more."""
        with self._working:
            with self._lock:
                if run_id not in self._waiting:
                    return
                self._waiting.discard(run_id)
            summarise(self._database, run_id)


def summarise(database: Database, run_id: str) -> None:
    """Bring the stored values of one run up to date."""
    with database.read() as tx:
        run = runs.get(tx, run_id)
        known = run_values.summary_state(tx, run_id)
        if run is None or (known is not None and known.cursor >= run.cursor):
            return
        made = _made(tx, run, known)
    if made is None:
        return
    state, found = made
    with database.write() as tx:
        if runs.lock(tx, run_id) is not None:  # not purged meanwhile
            run_values.store(tx, state, found)


def _made(tx: Transaction, run: Any, known: Any) -> tuple[dict[str, Any], dict[str, Extent]] | None:
    attempts = runs.attempts_of(tx, run.id)
    cuts, numbers = runs.cuts(attempts), points.names(tx, run.id)
    # Cuts: an attempt that began over an earlier step takes away what counted until then.
    what = [run.metadata.get("roles"), sorted(numbers), sorted(cuts.items())]
    shape = zlib.crc32(json.dumps(what).encode())
    state = {
        "run_id": run.id,
        "cursor": run.cursor,
        "step": run.last_step if run.last_step is not None else -1,
        "attempt_count": len(attempts),
        "shape": shape,
    }
    ended = run.status != "running"
    same = known is not None and (known.attempt_count, known.shape) == (len(attempts), shape)
    since = max(0, known.step - AGAIN) if same and not ended else 0
    before = run_values.extents(tx, run.id) if since else {}
    found = _extents(tx, run, cuts, numbers, since)
    return state, before | {name: _joined(before.get(name), one) for name, one in found.items()}


def _joined(before: Extent | None, now: Extent) -> Extent:
    if before is None:
        return now
    return Extent(now.last, min(before.low, now.low), max(before.high, now.high))


def _extents(
    tx: Transaction, run: Any, cuts: Mapping[int, int], numbers: Mapping[str, int], since: int
) -> dict[str, Extent]:
    """Return the values from a step on, by the name under which a series is shown."""
    roles: RoleSeries = role_series(numbers, run.metadata)
    stored = [one for one in points.read(tx, run.id, cuts, since=since) if one.name != points.AT]
    logged = {roles.outward(one.name): one for one in stored}
    made = as_shown(stored, run.metadata) if roles.made else ()
    shown = logged | {one.name: one for one in made if one.name in roles.made}
    return {
        name: Extent(float(values[-1]), float(values.min()), float(values.max()))
        for name, one in shown.items()
        if len(values := one.counted.values)
    }
