"""Storing the messages of a batch, each kind in its table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cusp.wire import (
    AckMessage,
    BoundaryMessage,
    CheckpointMessage,
    Message,
    PointMessage,
    SampleMessage,
    StatusMessage,
)
from monitor.role_series import role_series, same_past
from monitor.store import checkpoints, commands, points, runs
from monitor.store.database import Transaction
from monitor.superseded import may_answer
from monitor.webhooks import Topic, tell

NEVER = 2**62  # beyond every step


@dataclass
class Touched:
    """What a batch changed."""

    first_step: int = NEVER
    last_step: int = -1
    watched_from: int = NEVER  # the first step with a metric that the detector watches
    boundary_from: int = NEVER
    checkpoints: dict[str, int] = field(default_factory=dict)  # new ones: id -> place in the batch
    sections: set[str] = field(default_factory=set)
    ended: bool = False
    end: StatusMessage | None = None
    quarantined: int = 0  # messages of which something was set aside

    def point(self, step: int, *, watched: bool) -> None:
        """Note a point."""
        self.first_step = min(self.first_step, step)
        self.last_step = max(self.last_step, step)
        if watched:
            self.watched_from = min(self.watched_from, step)


class Numbers:
    """Series ids of one run during one batch."""

    def __init__(self, tx: Transaction, run: Any, limit: int) -> None:
        self._tx, self._run_id, self._limit = tx, run.id, limit
        self._metadata = run.metadata
        self._known = points.names(tx, run.id)
        self.roles = self._before = role_series(self._known, self._metadata)

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
        return not same_past(self._before, self.roles, self._metadata)

    def admit(self, message: PointMessage) -> dict[str, float]:
        """Make sure the point's series exist and take those out of it that the run has no room for.

        Returns what was taken out.
        """
        new = [name for name in message.metrics if name not in self._known]
        if not new and (message.at is None or points.AT in self._known):
            return {}
        room = max(0, self._limit - len(self._known.keys() - {points.AT}))
        refused = {name: message.metrics.pop(name) for name in new[room:]}
        added = new[:room]
        if message.at is not None and points.AT not in self._known:
            added.append(points.AT)
        if added:
            self._known = points.add_names(self._tx, self._run_id, added)
            self.roles = role_series(self._known, self._metadata)
        return refused

    def reason(self, step: int, refused: Mapping[str, float]) -> str:
        """Return why metrics of a point were set aside."""
        first = f"{min(refused)!r:.80}"
        names = first if len(refused) == 1 else f"{first} and {len(refused) - 1} more"
        return (
            f"the run has {self._limit} metrics, the most there can be, so {names} of step {step} was set"
            " aside; log fewer names"
        )

    def rows(self, message: PointMessage, key: int) -> list[points.PointRow]:
        """Return the point's rows for `points.add`."""
        step, known = message.step, self._known
        # SQLite has no -0.0; adding 0.0 makes it 0.0 on both databases.
        rows = [(known[name], step, key, value + 0.0) for name, value in message.metrics.items()]
        if message.at is not None:
            rows.append((known[points.AT], step, key, message.at))
        return rows


def store_other(
    tx: Transaction,
    run: Any,
    attempt: Any,
    seq: int,
    message: Message,
    touched: Touched,
    now: float,
    *,
    is_newest: bool,
) -> None:
    """Store a message that is not a point; `is_newest` says that it is the latest attempt."""
    run_id = run.id
    if isinstance(message, CheckpointMessage):
        if checkpoints.add(tx, run_id, attempt.key, message, now):
            touched.checkpoints[message.checkpoint_id] = seq - attempt.next_seq
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
        topic: Topic = "stop.done" if message.state == "done" else "stop.refused"
        tell(tx, topic, run_id, now, **told, reason=message.reason or command.reason)


def _store_status(
    tx: Transaction,
    run_id: str,
    attempt: Any,
    message: StatusMessage,
    touched: Touched,
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
