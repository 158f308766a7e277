"""One batch, one transaction: store -> fold -> decide -> commands and jobs.

Whatever the network repeats, reorders or splits, the database ends up the same: a message is taken
when its number is the next one, a repeat is skipped, a gap is answered with the number wanted.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from cusp.wire import (
    Batch,
    Command,
    Message,
    PointMessage,
    Policy,
    Reply,
    RunMetadata,
    RunStart,
    read_message,
)
from monitor import conclude
from monitor.fold import WATCHED, Folds, fold, fresh
from monitor.messages import Numbers, Touched, set_aside, store_other
from monitor.store import commands, feed, findings, points, runs
from monitor.store.database import Database, Transaction

SILENT_S = 5.0  # viewers hear of a heartbeat when the last news is older than this


class UnknownRun(LookupError):
    """No such run or attempt here: the trainer must announce it (again)."""


class Ingest:
    """Takes announcements and batches. `changed` is called with the run id after every commit.

    `took` is told of every batch: new messages, those set aside, seconds until the commit.
    """

    def __init__(
        self,
        database: Database,
        changed: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
        series_limit: int = 2_000,
        took: Callable[[int, int, float], None] = lambda *_: None,
    ) -> None:
        self._database = database
        self._changed = changed
        self._clock = clock
        self._series_limit = series_limit
        self._took = took
        self._folds = Folds()

    def announce(self, start: RunStart) -> None:
        """Store a run and its attempt; a repeat changes nothing."""
        now = self._clock()
        with self._database.write() as tx:
            if not runs.announce(tx, start, now):
                return
            newest = start.attempt_id == runs.newest_attempt(tx, start.run_id)
            if newest and len(runs.attempts_of(tx, start.run_id)) > 1:
                commands.expire(tx, start.run_id, now, "a new attempt of the run has started")
                runs.forsake(tx, start.run_id, runs.newest_attempt(tx, start.run_id))
                feed.section_changed(tx, start.run_id, "commands")
            feed.add(tx, start.run_id, "run", {})
        self._changed(start.run_id)

    def batch(self, run_id: str, batch: Batch) -> Reply:
        """Store what is new in the batch and return what the trainer should know.

        UnknownRun is raised when the run or the attempt was not announced here.
        """
        started = time.perf_counter()
        messages = [read_message(raw) for raw in batch.messages]
        touched = Touched()
        try:
            with self._database.write() as tx:
                reply, new, changed = self._take(tx, run_id, batch, messages, touched)
        except Exception:
            self._folds.drop(run_id)
            raise
        if changed:
            self._changed(run_id)
        self._took(new, touched.quarantined, time.perf_counter() - started)
        return reply

    def _take(
        self,
        tx: Transaction,
        run_id: str,
        batch: Batch,
        messages: Sequence[Message | str],
        touched: Touched,
    ) -> tuple[Reply, int, bool]:
        """Return the reply, how many messages were new, and whether viewers should look."""
        now = self._clock()
        run = runs.lock(tx, run_id)
        attempt = runs.attempt(tx, batch.attempt_id)
        if run is None or attempt is None or attempt.run_id != run_id:
            raise UnknownRun(f"run {run_id} with attempt {batch.attempt_id} was not announced here")
        lost = max(0, batch.oldest_seq - attempt.next_seq)
        expected = attempt.next_seq + lost
        skip = expected - batch.first_seq
        new = list(zip(batch.messages, messages, strict=True))[skip:] if skip >= 0 else []
        skipped = self._store(tx, run, attempt, expected, new, touched, now)
        next_seq = expected + len(new)
        stamp = {
            "next_seq": next_seq,
            "last_contact_at": now,
            "skipped": attempt.skipped + skipped,
            "dropped": max(attempt.dropped, batch.dropped),
            "lost": attempt.lost + lost,
        }
        if touched.last_step >= 0:
            known = attempt.first_step
            stamp["first_step"] = min(touched.first_step, 2**62 if known is None else known)
            stamp["last_step"] = max(touched.last_step, attempt.last_step or 0)
        runs.change_attempt(tx, attempt.id, stamp)
        runs.change(tx, run_id, last_contact_at=now)
        if touched.last_step >= 0:
            self._record_points(tx, run_id, attempt.key, touched)
        if new:
            conclude.after_batch(tx, run_id, now, ended=touched.ended)
            for section in sorted(touched.sections):
                feed.section_changed(tx, run_id, section)
            feed.add(tx, run_id, "run", {})
        open_commands = self._commands_for(tx, run_id, attempt.id)
        silent_s = now - run.last_contact_at
        reply = Reply(next_seq=next_seq, commands=open_commands)
        return reply, len(new), bool(new) or silent_s > SILENT_S

    def _store(
        self,
        tx: Transaction,
        run: Any,
        attempt: Any,
        seq: int,
        new: Sequence[tuple[Any, Message | str]],
        touched: Touched,
        now: float,
    ) -> int:
        """Store the messages; return how many values the trainer left out as not finite."""
        skipped, numbers = 0, Numbers(tx, run.id, self._series_limit)
        rows: list[tuple[int, int, int, float]] = []
        for offset, (raw, message) in enumerate(new):
            if isinstance(message, PointMessage):
                message = numbers.check(message) or message
            if isinstance(message, str):
                set_aside(tx, run.id, attempt.key, seq + offset, raw, message, now)
                touched.quarantined += 1
            elif isinstance(message, PointMessage):
                skipped += message.skipped
                rows += numbers.rows(message, attempt.key)
                touched.first_step = min(touched.first_step, message.step)
                touched.last_step = max(touched.last_step, message.step)
                touched.watched |= not WATCHED.isdisjoint(message.metrics)
            else:
                store_other(tx, run.id, attempt, seq + offset, message, touched, now)
        points.add(tx, rows)
        return skipped

    def _record_points(self, tx: Transaction, run_id: str, key: int, touched: Touched) -> None:
        ref = {"attempt_key": key, "from": touched.first_step, "to": touched.last_step}
        feed.add(tx, run_id, "points", ref)
        cuts = runs.cuts(runs.attempts_of(tx, run_id))
        run = runs.get(tx, run_id)
        assert run is not None
        runs.change(tx, run_id, last_step=_last_step(runs.attempts_of(tx, run_id), cuts))
        if touched.watched:
            self._fold(tx, run, cuts, touched)

    def _fold(self, tx: Transaction, run: Any, cuts: dict[int, int], touched: Touched) -> None:
        """Bring the verdicts up to date; only the new steps if the past stands."""
        boundaries = points.boundary_steps(tx, run.id, cuts)
        state = self._folds.get(run.id, run.folds, cuts, boundaries, touched.first_step)
        rewound = state is None and run.verdict is not None
        if state is None:
            metadata = RunMetadata.model_validate(run.metadata)
            state = fresh(metadata, Policy.model_validate(run.policy), run.folds)
        first = state.last_step + 1
        series = points.by_step(tx, run.id, cuts, sorted(WATCHED), since=first)
        found = list(fold(state, series, boundaries, cuts))
        state.folds += 1
        self._folds.put(run.id, state)
        if rewound:
            rewind_to = min(touched.first_step, run.verdict["step"])
            findings.forget_verdicts(tx, run.id, 0)
            feed.add(tx, run.id, "rewind", {"step": rewind_to})
            first = rewind_to
            runs.change(tx, run.id, verdict=None, folds=state.folds)
        if found:
            conclude.record(tx, run.id, found, state.folds, show_from=first)
            touched.sections |= (
                {"change_points"} if conclude.changes(tx, run.id, found[-1]) else set()
            )

    def _commands_for(self, tx: Transaction, run_id: str, attempt_id: str) -> list[Command]:
        """Return what the run's latest attempt must still be told; older ones are told nothing."""
        if attempt_id != runs.newest_attempt(tx, run_id):
            return []
        return [
            Command(command_id=c.id, kind=c.kind, mode=c.mode, steps=c.steps, reason=c.reason)
            for c in commands.pending(tx, run_id)
        ]


def _last_step(attempts: Sequence[Any], cuts: dict[int, int]) -> int | None:
    """Return the last effective step: of each attempt at most the one before its cut."""
    steps = [min(row.last_step, cuts[row.key] - 1) for row in attempts if row.last_step is not None]
    return max(steps) if steps else None
