"""One batch, one transaction: store -> fold -> decide -> commands and jobs.

Whatever the network repeats, reorders or splits, the database ends up the same: a message is taken
when its number is the next one, a repeat is skipped, a gap is answered with the number wanted.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cusp.protocol.messages import Batch, Message, Reply
from cusp.protocol.reading import Read, read_message
from cusp.protocol.run import RunStart
from cusp.protocol.salvage import Part
from cusp.protocol.scored import EvaluationMessage
from monitor.actions import decisions
from monitor.actions.lease import Ended
from monitor.actions.quotas import check_announced
from monitor.actions.record import record
from monitor.actions.require import refuse_deleted, refuse_purged
from monitor.actions.scores import summary
from monitor.database.engine import Database, Transaction, touch, untouch
from monitor.errors import UnknownRun
from monitor.ingest import heartbeat, liveness
from monitor.ingest.attempts import changed_from, last_step, reach
from monitor.ingest.early import decided_early, may_look, verdict_of
from monitor.ingest.messages import NEVER, BatchEffects, SeriesIds, store_all
from monitor.ingest.portions import SplitHere, endings
from monitor.ingest.telling import Told, fresh_steps, new_steps
from monitor.live.fresh import Fresh, LiveReadings, changed
from monitor.runs import durations, left_out
from monitor.store import changes, commands, points, runs
from monitor.store.changes import News
from monitor.store.packed import blocks
from monitor.verdicts.cache import DetectorCache, DetectorState
from monitor.verdicts.update import Followed, follow

SILENT_S = 5.0  # viewers hear of a heartbeat when the last news is older than this


@dataclass(frozen=True)
class BatchResult:
    """What a batch came to: `state` is remembered after the commit."""

    reply: Reply
    new: int
    state: DetectorState | None
    quarantined: int = 0
    refused: tuple[Part, ...] = ()
    fresh: Fresh | None = None


class Ingest:
    """Takes announcements and batches.

    `took` is told of every batch: new messages, those set aside, seconds until the commit. `tell` hands the viewers
    of a run what a committed batch changed, where `known` has what that is made of; else they read it.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        series_limit: int = 2_000,
        took: Callable[[int, int, float], None] = lambda *_: None,
        known: LiveReadings | None = None,
        tell: Callable[[str, Fresh], None] = lambda *_: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._series_limit = series_limit
        self._took = took
        self._known, self._tell = known, tell
        self.folds = DetectorCache()

    def announce(
        self, start: RunStart, refused: Sequence[Part] = (), unknown: Sequence[str] = ()
    ) -> None:
        """Store a run and its attempt; a repeat changes nothing.

        `refused` and `unknown` say what of the announcement could not be taken.
        """
        now = self._clock()
        state: DetectorState | None = None
        with self._database.write() as tx:
            before = runs.get(tx, start.run_id)
            check_announced(tx, start)
            new = runs.announce(tx, start, now, durations.began_at(now, start.age_s))
            refuse_purged(tx, start.run_id)  # after the lock: a purge may have begun meanwhile
            if not new:
                return
            refuse_deleted(runs.get(tx, start.run_id))
            newest = runs.attempts_of(tx, start.run_id)[-1]
            runs.mark_lost(tx, newest, now)
            if newest.id == start.attempt_id and before is not None:
                commands.expire(tx, start.run_id, now, "a new attempt of the run has started")
                record(tx, "commands.superseded", start.run_id, now)
                state = self._follow_anew(tx, before)
            lacks = left_out.announced(before.left_out if before else None, refused, unknown)
            changes.add_all(tx, start.run_id, [("run", {})], {"left_out": lacks} if lacks else None)
            if before is None:
                record(tx, "run.started", start.run_id, now, key="first")
        self.remember(start.run_id, state)

    def batch(self, run_id: str, batch: Batch) -> Reply:
        """Store what is new in the batch and return what the trainer should know.

        UnknownRun is raised when the run or the attempt was not announced here.
        """
        started = time.perf_counter()
        if not batch.messages:
            with self._database.look() as tx:
                reply = heartbeat.answered(tx, run_id, batch, self._clock())
            if reply is not None:
                self._took(0, 0, time.perf_counter() - started)
                return reply
        read = [read_message(raw) for raw in batch.messages]
        messages = [one.message or one.refused[0].reason for one in read]
        if any(isinstance(one, EvaluationMessage) for one in messages):
            summary.prepare()
        wrong = {
            n: one for n, one in enumerate(read, batch.first_seq) if one.refused or one.unknown
        }
        ends, start, new, quarantined = endings(messages), 0, 0, 0
        refused: list[Part] = []
        while True:
            end = min(place for place in ends if place > start or place == len(messages))
            try:
                taken = self._take_portion(run_id, batch, messages, wrong, start, end)
            except SplitHere as found:
                ends.add(start + found.count)
                continue
            new, quarantined, start = new + taken.new, quarantined + taken.quarantined, end
            refused += taken.refused
            if start >= len(messages):
                break
        self._took(new, quarantined, time.perf_counter() - started)
        if not refused:
            return taken.reply
        return taken.reply.model_copy(update={"refused": left_out.refusals(refused)})

    def _take_portion(
        self,
        run_id: str,
        batch: Batch,
        messages: Sequence[Message | str],
        wrong: Mapping[int, Read],
        start: int,
        end: int,
    ) -> BatchResult:
        """Take the messages from `start` up to `end` in a transaction, as if they had come alone."""
        if (start, end) != (0, len(messages)):
            raw = {"first_seq": batch.first_seq + start, "messages": batch.messages[start:end]}
            batch = batch.model_copy(update=raw)
        with self._database.write() as tx:
            taken = self._take(tx, run_id, batch, messages[start:end], wrong)
        self.remember(run_id, taken.state)
        if taken.fresh is not None:
            self._tell(run_id, taken.fresh)
        return taken

    def answered(self, tx: Transaction, ended: Ended) -> DetectorState | None:
        """Bring the verdicts up to date with a worker's verification and decide; for `remember` after the commit."""
        now = self._clock()
        run = runs.lock(tx, ended.run_id)
        if run is None:
            return None
        state: DetectorState | None = None
        verdict = verdict_of(run)
        if ended.refuted_from is not None:
            cuts = runs.cuts(runs.attempts_of(tx, run.id))
            names = points.names(tx, run.id)
            followed = follow(tx, run, self.folds, cuts, names, ended.refuted_from)
            changes.add_all(tx, run.id, [*followed.news, ("run", {})], followed.values)
            state, verdict = followed.state, followed.verdict
        decisions.carry_out(tx, run.id, verdict, now, ended=False, look=True)
        return state

    def remember(self, run_id: str, state: DetectorState | None) -> None:
        """Keep a run's detector for its next batch, once what it was updated with is committed."""
        if state is not None:
            self.folds.put(run_id, state)

    def _take(
        self,
        tx: Transaction,
        run_id: str,
        batch: Batch,
        messages: Sequence[Message | str],
        wrong: Mapping[int, Read],
    ) -> BatchResult:
        now, touched = self._clock(), BatchEffects()
        run = runs.lock(tx, run_id)
        attempts, pending = runs.attempts_with_pending(tx, run_id)
        attempt = next((one for one in attempts if one.id == batch.attempt_id), None)
        if run is None or attempt is None or run.deleted_at is not None:
            refuse_purged(tx, run_id)
        if run is None or attempt is None:
            raise UnknownRun(f"run {run_id} with attempt {batch.attempt_id} was not announced here")
        lost = max(0, batch.oldest_seq - attempt.next_seq)
        expected = attempt.next_seq + lost
        skip = expected - batch.first_seq
        new = list(zip(batch.messages, messages, strict=True))[skip:] if skip >= 0 else []
        is_newest = attempt is attempts[-1]
        known = self.folds.names(run_id, run.cursor)
        numbers = SeriesIds(tx, run, self._series_limit, known)
        skipped = store_all(
            tx, run, attempt, expected, new, wrong, numbers, touched, now, is_newest=is_newest
        )
        touched.unknown += batch.model_extra or () if new else ()
        next_seq = expected + len(new)
        said = [message for _, message in new]
        heard = liveness.heard(run, attempt, batch, said, touched, now, is_newest=is_newest)
        stamp = {
            "next_seq": next_seq,
            "skipped": attempt.skipped + skipped,
            "dropped": max(attempt.dropped, batch.dropped),
            "lost": attempt.lost + lost,
        }
        stamp |= {**reach(attempt, touched), **heard.attempt}
        stamp |= blocks.still_packed(attempt, touched.first_step)
        runs.change_attempt(tx, attempt.id, stamp)
        after = [changed(one, stamp) if one is attempt else one for one in attempts]
        steps = new_steps(run, attempt, said, touched, is_newest=is_newest)
        followed = (
            self._record(tx, run, attempt, after, numbers.known, touched, heard.run, steps)
            if new
            else None
        )
        fresh = None
        if self._known and said:
            batch_told = Told(run, after, steps, numbers, touched, heard.run, followed)
            fresh = fresh_steps(self._known, batch_told)
        if fresh is not None:
            untouch(tx, run_id)  # its viewers are handed it after the commit
        verdict = followed.verdict if followed else verdict_of(run)
        # New steps alone, of which nothing follows, bring no command.
        pending |= bool(new) and (steps is None or bool(verdict and verdict.transition))
        if new:
            look = may_look(tx, run, followed, touched)
            if early := decided_early(
                tx, run, attempt, new, followed, touched, numbers, now, look=look
            ):
                raise SplitHere(skip + early)
            pending |= look
            if touched.end is not None:
                liveness.tell_ended(tx, run_id, attempt, touched.end, now)
            decisions.carry_out(tx, run_id, verdict, now, ended=touched.ended, look=look)
        elif heard.run:
            changes.add_all(tx, run_id, [], heard.run)
        if now - run.last_contact_at > SILENT_S:
            touch(tx, run_id)
        reply = liveness.reply(tx, attempts, attempt, next_seq, verdict, pending=pending)
        state = followed.state if followed else None
        parts = tuple(part for _, part in touched.refused)
        return BatchResult(reply, len(new), state, touched.quarantined, parts, fresh)

    def _record(
        self,
        tx: Transaction,
        run: Any,
        attempt: Any,
        attempts: Sequence[Any],
        numbers: Mapping[str, int],
        touched: BatchEffects,
        values: dict[str, Any],
        steps: Mapping[int, Mapping[str, float]] | None,
    ) -> Followed | None:
        """Bring the verdicts and the run's row up to date, tell the viewers; return what was found.

        `attempt` is its row before the batch, `attempts` are all rows after it. `values` are the columns of the run
        that have changed anyhow; what changes here is added to them. `steps` are those of `new_steps`.
        """
        news: list[News] = []
        if touched.refused or touched.unknown:
            values["left_out"] = left_out.noted(run.left_out, touched.refused, touched.unknown)
        followed: Followed | None = None
        if touched.last_step >= 0:
            ref = {"attempt_key": attempt.key, "from": touched.first_step, "to": touched.last_step}
            news.append(("points", ref))
        if touched.last_step >= 0 or min(touched.changed) < NEVER:
            cuts = runs.cuts(attempts)
            values["last_step"] = last_step(attempts, cuts)
            first = changed_from(attempt, attempts, cuts, touched)
            if first < NEVER:
                same = not touched.answered and touched.boundary_from == NEVER
                followed = follow(
                    tx,
                    run,
                    self.folds,
                    cuts,
                    numbers,
                    first,
                    same_past=same,
                    new_steps=steps,
                )
                news += followed.news
                values |= followed.values
        news += [("changed", {"section": section}) for section in sorted(touched.sections)]
        last = changes.add_all(tx, run.id, [*news, ("run", {})], values)
        values["cursor"] = last
        if followed and followed.state.known:
            followed.state.known = followed.state.known._replace(cursor=last)
        return followed

    def _follow_anew(self, tx: Transaction, before: Any) -> DetectorState | None:
        """Fold everything again if the new attempt says otherwise what its numbers mean."""
        run = runs.get(tx, before.id)
        if run is None or run.verdict is None or _meaning(run) == _meaning(before):
            return None
        cuts = runs.cuts(runs.attempts_of(tx, run.id))
        followed = follow(tx, run, self.folds, cuts, points.names(tx, run.id), 0)
        changes.add_all(tx, run.id, followed.news, followed.values)
        return followed.state


def _meaning(run: Any) -> tuple[Any, Any]:
    """Return what the detector knows of a run besides its series."""
    return run.metadata, run.policy.get("preset")
