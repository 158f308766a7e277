"""One batch, one transaction: store -> fold -> decide -> commands and jobs.

Whatever the network repeats, reorders or splits, the database ends up the same: a message is taken
when its number is the next one, a repeat is skipped, a gap is answered with the number wanted.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cusp.wire import Batch, Command, Message, PointMessage, Reply, RunStart, read_message
from monitor import conclude
from monitor.deletion import refuse_deleted, refuse_purged
from monitor.detect import Verdict
from monitor.fold import WATCHED, Folded, Folds
from monitor.follow import follow
from monitor.messages import NEVER, Numbers, Touched, set_aside, store_other
from monitor.store import commands, feed, intake, points, runs
from monitor.store.database import Database, Transaction
from monitor.store.feed import News
from monitor.verdicts import from_json
from monitor.webhooks import tell

SILENT_S = 5.0  # viewers hear of a heartbeat when the last news is older than this


@dataclass(frozen=True)
class Taken:
    """What a batch came to: `state` is remembered after the commit, `tell` wakes the viewers."""

    reply: Reply
    new: int
    state: Folded | None
    tell: bool


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
        state: Folded | None = None
        with self._database.write() as tx:
            before = runs.get(tx, start.run_id)
            new = runs.announce(tx, start, now)
            refuse_purged(tx, start.run_id)  # after the lock: a purge may have begun meanwhile
            if not new:
                return
            refuse_deleted(runs.get(tx, start.run_id))
            newest = start.attempt_id == runs.newest_attempt(tx, start.run_id)
            if newest and before is not None:
                commands.expire(tx, start.run_id, now, "a new attempt of the run has started")
                runs.forsake(tx, start.run_id, start.attempt_id)
                feed.section_changed(tx, start.run_id, "commands")
                state = self._follow_anew(tx, before)
            feed.add(tx, start.run_id, "run", {})
            if before is None:
                tell(tx, "run.started", start.run_id, now, key="first")
        self._remember(start.run_id, state)
        self._changed(start.run_id)

    def batch(self, run_id: str, batch: Batch) -> Reply:
        """Store what is new in the batch and return what the trainer should know.

        UnknownRun is raised when the run or the attempt was not announced here.
        """
        started = time.perf_counter()
        messages = [read_message(raw) for raw in batch.messages]
        touched = Touched()
        with self._database.write() as tx:
            taken = self._take(tx, run_id, batch, messages, touched)
        self._remember(run_id, taken.state)
        if taken.tell:
            self._changed(run_id)
        self._took(taken.new, touched.quarantined, time.perf_counter() - started)
        return taken.reply

    def _remember(self, run_id: str, state: Folded | None) -> None:
        if state is not None:
            self._folds.put(run_id, state)

    def _take(
        self,
        tx: Transaction,
        run_id: str,
        batch: Batch,
        messages: Sequence[Message | str],
        touched: Touched,
    ) -> Taken:
        now = self._clock()
        run = intake.locked_run(tx, run_id)
        attempts = intake.attempts_of(tx, run_id)
        attempt = next((one for one in attempts if one.id == batch.attempt_id), None)
        if run is None or attempt is None or run.deleted_at is not None:
            refuse_purged(tx, run_id)
        if run is None or attempt is None:
            raise UnknownRun(f"run {run_id} with attempt {batch.attempt_id} was not announced here")
        lost = max(0, batch.oldest_seq - attempt.next_seq)
        expected = attempt.next_seq + lost
        skip = expected - batch.first_seq
        new = list(zip(batch.messages, messages, strict=True))[skip:] if skip >= 0 else []
        numbers = Numbers(tx, run_id, self._series_limit)
        skipped = _store(tx, run, attempt, expected, new, numbers, touched, now)
        next_seq = expected + len(new)
        stamp = {
            "next_seq": next_seq,
            "last_contact_at": now,
            "skipped": attempt.skipped + skipped,
            "dropped": max(attempt.dropped, batch.dropped),
            "lost": attempt.lost + lost,
        }
        intake.stamp_attempt(tx, attempt.id, {**stamp, **_reach(attempt, touched)})
        state = self._record(tx, run, attempt, numbers.known, touched, now) if new else None
        if new:
            verdict = state.verdict if state else _verdict(run)
            conclude.after_batch(tx, run_id, verdict, now, ended=touched.ended)
        else:
            feed.add_all(tx, run_id, [], {"last_contact_at": now})
        # Only the latest attempt is told anything.
        told = intake.pending_commands(tx, run_id) if attempt is attempts[-1] else []
        silent_s = now - run.last_contact_at
        reply = Reply(next_seq=next_seq, commands=[_command(row) for row in told])
        return Taken(reply, len(new), state, bool(new) or silent_s > SILENT_S)

    def _record(
        self,
        tx: Transaction,
        run: Any,
        attempt: Any,
        numbers: Mapping[str, int],
        touched: Touched,
        now: float,
    ) -> Folded | None:
        """Bring the verdicts and the run's row up to date, tell the viewers; return the folded state."""
        news: list[News] = []
        values: dict[str, Any] = {"last_contact_at": now}
        state: Folded | None = None
        if touched.last_step >= 0:
            ref = {"attempt_key": attempt.key, "from": touched.first_step, "to": touched.last_step}
            news.append(("points", ref))
        if touched.last_step >= 0 or touched.boundary_from < NEVER:
            attempts = intake.attempts_of(tx, run.id)
            cuts = runs.cuts(attempts)
            values["last_step"] = _last_step(attempts, cuts)
            changed_from = _changed_from(attempt, attempts, cuts, touched)
            if changed_from < NEVER:
                followed = follow(tx, run, self._folds, cuts, numbers, changed_from)
                state = followed.state
                news += followed.news
                values |= followed.values
        news += [("changed", {"section": section}) for section in sorted(touched.sections)]
        feed.add_all(tx, run.id, [*news, ("run", {})], values)
        return state

    def _follow_anew(self, tx: Transaction, before: Any) -> Folded | None:
        """Fold everything again if the new attempt says otherwise what its numbers mean."""
        run = runs.get(tx, before.id)
        if run is None or run.verdict is None or _meaning(run) == _meaning(before):
            return None
        cuts = runs.cuts(runs.attempts_of(tx, run.id))
        followed = follow(tx, run, self._folds, cuts, points.names(tx, run.id), 0)
        feed.add_all(tx, run.id, followed.news, followed.values)
        return followed.state


def _store(
    tx: Transaction,
    run: Any,
    attempt: Any,
    seq: int,
    new: Sequence[tuple[Any, Message | str]],
    numbers: Numbers,
    touched: Touched,
    now: float,
) -> int:
    """Store the messages; return how many values the trainer left out as not finite."""
    skipped = 0
    rows: list[points.PointRow] = []
    for offset, (raw, message) in enumerate(new):
        if isinstance(message, PointMessage):
            message = numbers.check(message) or message
        if isinstance(message, str):
            set_aside(tx, run.id, attempt.key, seq + offset, raw, message, now)
            touched.quarantined += 1
        elif isinstance(message, PointMessage):
            skipped += message.skipped
            rows += numbers.rows(message, attempt.key)
            touched.point(message.step, watched=not WATCHED.isdisjoint(message.metrics))
        else:
            store_other(tx, run.id, attempt, seq + offset, message, touched, now)
    points.add(tx, rows)
    return skipped


def _reach(attempt: Any, touched: Touched) -> dict[str, int]:
    """Return the attempt's first and last step, where the batch had points."""
    if touched.last_step < 0:
        return {}
    known = NEVER if attempt.first_step is None else attempt.first_step
    last = max(touched.last_step, attempt.last_step or 0)
    return {"first_step": min(touched.first_step, known), "last_step": last}


def _changed_from(
    attempt: Any, attempts: Sequence[Any], cuts: Mapping[int, int], touched: Touched
) -> int:
    """Return the first step at which what the detector sees may have changed, or NEVER.

    That is a watched metric or a boundary that counts, or the first step of an attempt, from which on
    the earlier ones do not count any more. `attempt` is its row before the batch.
    """
    cut = cuts[attempt.key]
    changed = [step for step in (touched.watched_from, touched.boundary_from) if step < cut]
    if attempt.first_step is None or touched.first_step < attempt.first_step:
        earlier = [one for one in attempts if one.id < attempt.id and one.last_step is not None]
        if any(one.last_step >= touched.first_step for one in earlier):
            changed.append(touched.first_step)
    return min(changed, default=NEVER)


def _last_step(attempts: Sequence[Any], cuts: Mapping[int, int]) -> int | None:
    """Return the last effective step: of each attempt at most the one before its cut."""
    steps = [min(row.last_step, cuts[row.key] - 1) for row in attempts if row.last_step is not None]
    return max(steps) if steps else None


def _verdict(run: Any) -> Verdict | None:
    return from_json(run.verdict) if run.verdict else None


def _meaning(run: Any) -> tuple[Any, Any]:
    """Return what the detector knows of a run besides its series."""
    return run.metadata, run.policy.get("preset")


def _command(row: Any) -> Command:
    return Command(
        command_id=row.id, kind=row.kind, mode=row.mode, steps=row.steps, reason=row.reason
    )
