"""Trainings as lists of messages, ways to deliver them, and what the database must hold afterwards.

A trace is what trainers wrote, a delivery is what a network made of it. `dump` is free of order: random
ids, times and the numbering of attempts by arrival are taken out of it.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from cusp.ids import new_id
from cusp.protocol.messages import Batch
from cusp.protocol.run import RunMetadata, RunStart
from monitor.database.engine import Database, Transaction
from monitor.ingest.ingest import Ingest
from monitor.store import commands, points, runs
from monitor.store.packed import blocks

Json = dict[str, Any]


@dataclass(frozen=True)
class Life:
    """One attempt: from which step it logs, how many, what else it says and how it ends."""

    first: int
    steps: int
    end: str | None
    told: str | None  # a person's command, given when it starts
    acked: str | None
    odd: int  # seeds the messages that are not points
    repeats: bool = False  # logs a step's metrics in several messages, and steps again later
    boundary: bool = False
    limit_tokens: int | None = None


@dataclass(frozen=True)
class Trace:
    """A run: its curve's seed, where it turns (or never), and its attempts."""

    seed: int
    turn: int | None
    lives: tuple[Life, ...]


@dataclass
class World:
    """One run in the database, with the messages of its attempts ready to be delivered."""

    database: Database
    trace: Trace
    run_id: str = field(default_factory=new_id)
    attempts: list[str] = field(default_factory=list)
    messages: list[list[Json]] = field(default_factory=list)
    announced: set[int] = field(default_factory=set)
    now: float = 1_800_000_000.0

    def __post_init__(self) -> None:
        self.crash()
        # A box's clock makes the ids: they tell nothing of the order of the attempts.
        names = [new_id() for _ in self.trace.lives]
        random.Random(f"{self.trace}").shuffle(names)
        for number, (name, life) in enumerate(zip(names, self.trace.lives, strict=True)):
            self.attempts.append(name)
            said = messages_of(self.trace, number, life)
            for message in said:
                if message["kind"] == "checkpoint":
                    message["checkpoint_id"] = self.run_id[:20] + message["checkpoint_id"]
            self.messages.append(said)

    def crash(self) -> None:
        """Go on with another process: what is not in the database is forgotten."""
        self.ingest = Ingest(self.database, clock=lambda: self.now)

    def announce(self, number: int) -> None:
        life = self.trace.lives[number]
        start = RunStart(
            run_id=self.run_id,
            attempt_id=self.attempts[number],
            name="n",
            after=self.attempts[number - 1] if number else None,
            late=max(self.announced, default=-1) > number,  # its successor came first: it has ended
            metadata=RunMetadata(completion_limit_tokens=life.limit_tokens),
        )
        self.ingest.announce(start)
        if number not in self.announced and life.told:
            self._tell(number, life.told)
        self.announced.add(number)

    def deliver(self, number: int, first_seq: int, count: int) -> int:
        """Deliver some messages of an attempt, which may be a repeat or leave a gap."""
        if number not in self.announced:
            self.announce(number)
        self.now += 1
        given = self.messages[number][first_seq : first_seq + count]
        batch = Batch(
            attempt_id=self.attempts[number],
            first_seq=first_seq,
            messages=json.loads(json.dumps(given)),
        )
        return self.ingest.batch(self.run_id, batch).next_seq

    def pack(self) -> None:
        """Pack what is complete, as the monitor does behind the batches."""
        with self.database.write() as tx:
            runs.lock(tx, self.run_id)
            while blocks.pack_some(tx, self.run_id):
                pass

    def finish(self, number: int, most: int = 5_000) -> None:
        """Deliver what is missing of an attempt, in order."""
        if number not in self.announced:
            self.announce(number)
        seq = self.deliver(number, 0, 0)
        while seq < len(self.messages[number]):
            seq = self.deliver(number, seq, most)

    def _tell(self, number: int, kind: str) -> None:
        with self.database.write() as tx:
            row = commands.add(
                tx, self.run_id, self.now, kind=kind, reason="asked", author="person", steps=[5]
            )
        for message in self.messages[number]:
            if message.get("command_id") == "told":
                message["command_id"] = row.id


def metrics_at(trace: Trace, step: int, life: int) -> dict[str, float]:
    """Return a step's values: format and accuracy break and length turns where the trace turns."""
    rng = random.Random(f"{trace.seed} {step} {life}")
    turn = 10**9 if trace.turn is None else trace.turn
    rising, after = min(1.0, step / 8), min(1.0, max(0.0, (step - turn) / 6))
    ripple = (rng.random() - 0.5) * 0.06
    return {
        "format_reward": min(1.0, max(0.0, 0.3 + 0.6 * rising - 0.6 * after + ripple)),
        "accuracy_reward": min(1.0, max(0.0, 0.3 + 0.4 * rising - 0.6 * after + ripple)),
        "completion_length": 60 - 25 * rising + 25 * after + 20 * ripple,
        "entropy": 0.5 + 0.8 * after + ripple / 4,
    }


def messages_of(trace: Trace, number: int, life: Life) -> list[Json]:
    """Return everything an attempt says, in its order."""
    rng = random.Random(f"{trace.seed} {life.odd} {number}")
    found: list[Json] = [{"kind": "status", "status": "started"}]
    for step in range(life.first, life.first + life.steps):
        found += _step(trace, number, life, step, rng)
    if life.acked:
        found.insert(
            rng.randint(1, len(found)),
            {"kind": "ack", "command_id": "told", "state": life.acked, "step": life.first},
        )
    if life.end:
        found.append({"kind": "status", "status": life.end, "reason": "as it was"})
    return found


def _step(trace: Trace, number: int, life: Life, step: int, rng: random.Random) -> list[Json]:
    values = metrics_at(trace, step, number)
    point = {"kind": "point", "step": step, "metrics": values, "at": 1.8e9 + step}
    found: list[Json] = [point]
    if life.repeats and rng.random() < 0.3:  # two messages for one step; the later value counts
        half = {"format_reward": 0.0, "entropy": values["entropy"]}
        found.insert(0, {"kind": "point", "step": step, "metrics": half})
    if life.repeats and rng.random() < 0.1:  # a value that was measured late
        late = {"kind": "point", "step": max(life.first, step - 3), "metrics": {"kl": 0.1}}
        found.append(late)
    if rng.random() < 0.15:
        found.append({"kind": "point", "step": step, "metrics": {"custom": 1.5}, "skipped": 1})
    if step % 5 == 0:
        found.append(_checkpoint(trace, number, step, "present"))
        if rng.random() < 0.3:
            found.append(_checkpoint(trace, number, step, "pinned"))
    if rng.random() < 0.05:
        found.append({"kind": "point", "step": step, "metrics": {"reward": "high"}})
    if rng.random() < 0.05:
        found.append({"kind": "sample", "step": step, "prompt": "p", "completion": f"c{number}"})
    if life.boundary and step == life.first + life.steps - 1:
        found.append({"kind": "boundary", "step": step - 1, "reason": "new data"})
    return found


def _checkpoint(trace: Trace, number: int, step: int, state: str) -> Json:
    return {
        "kind": "checkpoint",
        "checkpoint_id": f"{number}{step:05d}",  # the end of an id that starts like the run's
        "step": step,
        "path": f"checkpoint-{step}" if state == "present" else f"pinned/checkpoint-{step}",
        "sha256": f"{step:064x}",
        "bytes": 10,
        "state": state,
    }


STATE = {
    "run": "SELECT status, status_reason, last_step, verdict, policy, metadata FROM runs WHERE id = :run",
    "attempts": "SELECT id, place, next_seq, first_step, last_step, status, status_reason, skipped, dropped,"
    " lost FROM attempts WHERE run_id = :run ORDER BY id",
    "boundaries": "SELECT b.step, b.reason, a.id FROM boundaries b JOIN attempts a ON a.run_id = b.run_id"
    " AND a.key = b.attempt_key WHERE b.run_id = :run ORDER BY 1, 3",
    "samples": "SELECT a.id, m.seq, m.step, m.completion FROM samples m JOIN attempts a"
    " ON a.run_id = m.run_id AND a.key = m.attempt_key WHERE m.run_id = :run ORDER BY 1, 2",
    "quarantine": "SELECT a.id, q.seq, q.body, q.reason FROM quarantine q JOIN attempts a"
    " ON a.run_id = q.run_id AND a.key = q.attempt_key WHERE q.run_id = :run ORDER BY 1, 2",
    "verdicts": "SELECT step, phase, score, evidence FROM verdicts WHERE run_id = :run ORDER BY step",
    "change_points": "SELECT kind, seen_at_step, step, low, high, state, words, evidence, author"
    " FROM change_points WHERE run_id = :run ORDER BY 1, 2",
    "checkpoints": "SELECT c.id, a.id AS attempt, c.step, c.path, c.state, c.pinned FROM checkpoints c"
    " JOIN attempts a ON a.run_id = c.run_id AND a.key = c.attempt_key WHERE c.run_id = :run"
    " ORDER BY c.step, c.id",
}
ACTS = {
    "commands": "SELECT kind, mode, steps, reason, author, state, state_reason, step FROM commands"
    " WHERE run_id = :run",
    "decisions": "SELECT finding, kind, step, checkpoint_step, reason, author FROM decisions"
    " WHERE run_id = :run",
    "aliases": "SELECT alias, checkpoint_id, author FROM aliases WHERE run_id = :run",
    "jobs": "SELECT kind, payload, state FROM jobs WHERE run_id = :run",
    "audit": "SELECT actor, action, detail FROM audit WHERE run_id = :run",
}


def _points(tx: Transaction, world: World) -> Iterator[tuple[str, int, str, float]]:
    """Yield (name, step, attempt id, value) of all points, in blocks or not."""
    asked = text("SELECT key, id FROM attempts WHERE run_id = :run")
    ids = {row.key: row.id for row in tx.execute(asked, {"run": world.run_id})}
    stored = blocks.columns_of(tx, blocks.OF_RUN, {"run": world.run_id}, 0, points.NO_END)
    for (_, name), found in stored.items():
        for step, value, key in zip(*(column.tolist() for column in found), strict=True):
            yield name, step, ids[key], value


def dump(world: World, tables: Sequence[dict[str, str]]) -> dict[str, list[str]]:
    """Return the rows of the run by table, sorted, with its ids replaced by their places."""
    found: dict[str, list[str]] = {}
    with world.database.read() as tx:
        for name, question in [item for group in tables for item in group.items()]:
            rows = tx.execute(text(question), {"run": world.run_id}).mappings().all()
            found[name] = sorted(_placed(world, json.dumps(_plain(dict(row)))) for row in rows)
        found["points"] = sorted(_placed(world, json.dumps(row)) for row in _points(tx, world))
    return found


def _plain(row: Json) -> Json:
    """Return the row with JSON columns as text alike on both databases."""
    return {
        name: json.loads(value) if type(value) is str and value[:1] in "{[" and value else value
        for name, value in row.items()
    }


def _placed(world: World, line: str) -> str:
    for number, name in enumerate(world.attempts):
        line = line.replace(name, f"attempt {number}")
    return line.replace(world.run_id, "the run").replace(world.run_id[:20], "checkpoint ")
