"""Storing the messages of a batch, each kind in its table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cusp.protocol.messages import (
    AckMessage,
    BoundaryMessage,
    CheckpointMessage,
    Message,
    PointMessage,
    SampleMessage,
    StatusMessage,
    VerificationMessage,
)
from cusp.protocol.reading import Read
from cusp.protocol.salvage import Part
from cusp.protocol.scored import EvaluationMessage
from monitor.actions.quotas import Quota
from monitor.actions.record import record
from monitor.actions.verify import answer, by_eval
from monitor.database.engine import Transaction
from monitor.ingest import sent_scores, series_quota
from monitor.ingest.portions import is_eval
from monitor.ingest.quarantine import Quarantine
from monitor.roles.role_series import role_series, same_past
from monitor.runs.superseded import may_answer
from monitor.store import checkpoints, commands, points, runs
from monitor.store.scores import evaluations

NEVER = 2**62  # beyond every step


@dataclass
class BatchEffects:
    """What a batch changed."""

    first_step: int = NEVER
    last_step: int = -1
    watched_from: int = NEVER  # the first step with a metric that the detector watches
    boundary_from: int = NEVER
    refuted_from: int = NEVER  # the first step after weights that were found not worse
    answered: bool = False  # a verification
    checkpoints: dict[str, int] = field(default_factory=dict)  # new ones: id -> place in the batch
    sections: set[str] = field(default_factory=set)
    ended: bool = False
    end: StatusMessage | None = None
    quarantined: int = 0  # messages of which something was set aside
    refused: list[tuple[int, Part]] = field(default_factory=list)  # (step, part) set aside
    unknown: list[str] = field(default_factory=list)  # fields of a newer client

    @property
    def changed(self) -> tuple[int, ...]:
        """The first steps at which what the detector sees has changed, NEVER where it has not."""
        return self.watched_from, self.boundary_from, self.refuted_from

    def point(self, step: int, *, watched: bool) -> None:
        """Note a point."""
        self.first_step = min(self.first_step, step)
        self.last_step = max(self.last_step, step)
        if watched:
            self.watched_from = min(self.watched_from, step)


class SeriesIds:
    """Series ids of one run during one batch."""

    def __init__(
        self, tx: Transaction, run: Any, limit: int, known: Mapping[str, int] | None
    ) -> None:
        """`known` are the ids by name where they are known already."""
        self._tx, self._run, self._limit = tx, run, limit
        self._known = points.names(tx, run.id) if known is None else known
        self.roles = self._before = role_series(self._known, run.metadata)

    @property
    def known(self) -> Mapping[str, int]:
        """The run's series ids by name."""
        return self._known

    @property
    def roles_changed(self) -> bool:
        """Whether the batch brought names, so that there may be other roles."""
        return self.roles is not self._before

    @property
    def past_changed(self) -> bool:
        """Whether a new name changes what the earlier points say to the detector."""
        return not same_past(self._before, self.roles, self._run.metadata)

    def admit(self, message: PointMessage) -> list[Part]:
        """Make sure the point's series exist and take those out of it that the run has no room for.

        Returns what was taken out.
        """
        new = [name for name in message.metrics if name not in self._known]
        if not new and (message.at is None or points.AT in self._known):
            return []
        told = series_quota.told_names(self._run.metadata)
        refused = set(series_quota.refused(self._known, new, self._limit, told))
        added = [name for name in new if name not in refused]
        if message.at is not None and points.AT not in self._known:
            added.append(points.AT)
        if added:
            self._known = points.add_names(self._tx, self._run.id, added)
            self.roles = role_series(self._known, self._run.metadata)
        return [self._refused(message, name) for name in new if name in refused]

    def _refused(self, message: PointMessage, name: str) -> Part:
        reason = (
            f"the run has {self._limit} metrics, the most there can be, so {name!r:.80} of step"
            f" {message.step} was set aside; log fewer names"
        )
        return Part("number of series", name, reason, message.metrics.pop(name))

    def rows(self, message: PointMessage, key: int) -> list[points.PointRow]:
        """Return the point's rows for `points.add`."""
        step, known = message.step, self._known
        # SQLite has no -0.0; adding 0.0 makes it 0.0 on both databases.
        rows = [(known[name], step, key, value + 0.0) for name, value in message.metrics.items()]
        if message.at is not None:
            rows.append((known[points.AT], step, key, message.at))
        return rows


def store_all(
    tx: Transaction,
    run: Any,
    attempt: Any,
    seq: int,
    new: Sequence[tuple[Any, Message | str]],
    wrong: Mapping[int, Read],
    numbers: SeriesIds,
    touched: BatchEffects,
    now: float,
    *,
    is_newest: bool,
) -> int:
    """Store the messages; return how many values the trainer left out as not finite.

    `wrong` has what was found wrong in some of them, by their number.
    """
    skipped = 0
    rows: list[points.PointRow] = []
    aside, room = Quarantine(tx, run.id, attempt.key, now), Quota(tx, run.id)
    for number, (raw, message) in enumerate(new, seq):
        read = wrong.get(number)
        refused = list(read.refused) if read else []
        if isinstance(message, PointMessage):
            refused += numbers.admit(message)
            skipped += message.skipped
            rows += numbers.rows(message, attempt.key)
            watched = not numbers.roles.watched.isdisjoint(message.metrics)
            touched.point(message.step, watched=watched)
        elif isinstance(message, str):
            pass  # nothing of it can be taken
        elif refusal := room.refusal(message):
            refused.append(Part("number of messages", "", refusal))
        elif isinstance(message, VerificationMessage):
            if not refused:  # what is left of mended scores is not paired any more
                refused += _take_scores(tx, run.id, attempt.key, message, touched, now)
        elif isinstance(message, EvaluationMessage):
            if lost := sent_scores.unusable(refused):
                refused = lost
            else:
                first = min(
                    touched.first_step, NEVER if attempt.first_step is None else attempt.first_step
                )
                refused += sent_scores.take(tx, run.id, attempt.key, first, message, now)
        else:
            _store_other(tx, run, attempt, number, message, touched, now, is_newest=is_newest)
        if refused:
            aside.add(number, _rest(message, refused, raw), _reasons(refused))
            step = getattr(message, "step", None)
            touched.refused += [(-1 if step is None else step, part) for part in refused]
        if read:
            touched.unknown += read.unknown
    points.add(tx, rows)
    _compare_evals(tx, run, attempt, new, touched, now)
    aside.close()
    if numbers.roles_changed:
        touched.sections.add("roles")
        if numbers.past_changed:
            touched.watched_from = 0
    if aside.count:
        touched.quarantined = aside.count
        touched.sections.add("quarantine")
    return skipped


def _rest(message: Message | str, refused: Sequence[Part], raw: Any) -> Any:
    """Return what is set aside: of a point the refused metrics alone, else the message as it was."""
    if not isinstance(message, PointMessage):
        return raw
    metrics = {part.name: part.value for part in refused if part.kind != "field"}
    fields = {part.name: part.value for part in refused if part.kind == "field"}
    return {"kind": "point", "step": message.step, **fields, "metrics": metrics}


def _reasons(refused: Sequence[Part]) -> str:
    more = f"; and {len(refused) - 1} more of it" if len(refused) > 1 else ""
    return refused[0].reason + more


def _store_other(
    tx: Transaction,
    run: Any,
    attempt: Any,
    seq: int,
    message: Message,
    touched: BatchEffects,
    now: float,
    *,
    is_newest: bool,
) -> None:
    """Store a message that is not a point; `is_newest` says that it is the latest attempt."""
    run_id = run.id
    if isinstance(message, CheckpointMessage):
        released = message.step in commands.released(commands.of_run(tx, run_id))
        if checkpoints.add(tx, run_id, attempt.key, message, now, released=released):
            touched.checkpoints[message.checkpoint_id] = seq - attempt.next_seq
            evaluations.link(tx, run_id, message.step, message.checkpoint_id)
        touched.sections.add("checkpoints")
    elif isinstance(message, AckMessage):
        if may_answer(tx, message, is_newest=is_newest, run=run):
            _store_ack(tx, run_id, message, now)
        touched.sections.add("commands")
    elif isinstance(message, SampleMessage):
        row = message.model_dump(include={"step", "prompt", "completion", "rewards"})
        points.add_sample(tx, {"run_id": run_id, "attempt_key": attempt.key, "seq": seq, **row})
        touched.sections.add("samples")
    elif isinstance(message, BoundaryMessage):
        points.add_boundary(tx, run_id, attempt.key, message.step, message.reason)
        touched.boundary_from = min(touched.boundary_from, message.step)
    elif isinstance(message, StatusMessage):
        _store_status(tx, run_id, attempt, message, touched, now, is_newest=is_newest)


def _compare_evals(
    tx: Transaction,
    run: Any,
    attempt: Any,
    new: Sequence[tuple[Any, Message | str]],
    touched: BatchEffects,
    now: float,
) -> None:
    """Verify by the training's own evaluation, which is the only message of its portion."""
    if len(new) == 1 and is_eval(new[0][1]) and isinstance(new[0][1], PointMessage):
        refuted_from = by_eval.take(tx, run, attempt, new[0][1].step, now)
        touched.answered = True
        touched.refuted_from = min(touched.refuted_from, refuted_from or NEVER)


def _take_scores(
    tx: Transaction,
    run_id: str,
    attempt_key: int,
    message: VerificationMessage,
    touched: BatchEffects,
    now: float,
) -> list[Part]:
    """Take the scores of a verification; return why they answer none."""
    try:
        refuted_from = answer.take(tx, run_id, attempt_key, message, now)
    except answer.Unusable as error:
        return [Part("verification", "", str(error))]
    touched.answered = True
    touched.refuted_from = min(touched.refuted_from, refuted_from or NEVER)
    return []


def _store_ack(tx: Transaction, run_id: str, message: AckMessage, now: float) -> None:
    moved = commands.advance(
        tx,
        run_id,
        message.command_id,
        now,
        state=message.state,
        step=message.step,
        reason=message.reason,
    )
    if not moved or message.state not in ("done", "refused"):
        return
    command = commands.get(tx, message.command_id)
    if command is not None and command.kind == "stop":
        told = {"command_id": command.id, "step": command.step, "author": command.author}
        told["reason"] = message.reason or command.reason
        record(tx, f"stop.{message.state}", run_id, now, told=told)


def _store_status(
    tx: Transaction,
    run_id: str,
    attempt: Any,
    message: StatusMessage,
    touched: BatchEffects,
    now: float,
    *,
    is_newest: bool,
) -> None:
    if message.status == "started" and not is_newest:
        return  # told late: it is lost, as its successor has shown
    status = "running" if message.status == "started" else message.status
    runs.change_attempt(tx, attempt.id, {"status": status, "status_reason": message.reason})
    if not is_newest:
        return
    runs.change(tx, run_id, status=status, status_reason=message.reason, ended_at=None)
    if status != "running":
        commands.expire(tx, run_id, now, f"the training had ended ({status})")
        touched.sections.add("commands")
        touched.ended = True
        touched.end = message
