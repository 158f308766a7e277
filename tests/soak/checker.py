"""The independent judge: plain SQL on the database against the notes that the trainers kept.

It imports nothing of the monitor and nothing of the client's logic. For a run it reads what each
attempt says it logged, and counts what the database has lost, doubled or changed.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.soak.light_trainer import value_of

Rows = list[tuple[Any, ...]]


@dataclass
class Noted:
    """One attempt as its own notes tell it."""

    run_id: str
    attempt_id: str
    tried: list[int] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    ended: bool = False
    drained: bool = False
    raised: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)


@dataclass
class Found:
    """What is wrong, in sentences, and what was counted on the way."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def say(self, what: str, sentence: str) -> None:
        self.counts[what] += 1
        self.wrong.append(sentence)


def read_notes(path: Path) -> list[Noted]:
    """Return the attempts of one notes file; a half-written last line is left out."""
    found: list[Noted] = []
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            continue
        entry = json.loads(line)
        if entry["event"] == "start":
            found.append(Noted(entry["run"], entry["attempt"]))
        elif entry["event"] == "raised":
            (found or [Noted("", "")])[-1].raised.append(entry["error"])
            if not found:
                raise ValueError(f"a trainer could not even start: {entry['error']}")
        else:
            _read(found[-1], entry)
    return found


def _read(attempt: Noted, entry: dict[str, Any]) -> None:
    if entry["event"] == "try":
        attempt.tried.append(entry["step"])
    elif entry["event"] == "ok":
        attempt.returned.append(entry["step"])
    elif entry["event"] == "end":
        attempt.ended, attempt.drained = True, entry["drained"]
    elif entry["event"] == "took":
        attempt.took += entry["seconds"]


def ask(database: str, question: str, *values: object) -> Rows:
    """Return the rows that plain SQL gives (`?` marks a value), of a path or a PostgreSQL URI."""
    if "://" in database:
        with psycopg.connect(database) as connection:
            return connection.execute(question.replace("?", "%s"), values).fetchall()
    lite = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return lite.execute(question, values).fetchall()
    finally:
        lite.close()


def check_points(database: str, noted: Sequence[Noted]) -> Found:
    """Compare every attempt's points and samples with its notes."""
    found = Found()
    for attempt in noted:
        found.counts["attempts"] += 1
        for error in attempt.raised:
            found.say("raised", f"log() raised in attempt {attempt.attempt_id}: {error}")
        _check_attempt(database, attempt, found)
    return found


def _check_attempt(database: str, attempt: Noted, found: Found) -> None:
    points = ask(
        database,
        "SELECT p.step, p.value FROM points p JOIN series s ON s.id = p.series_id"
        " JOIN attempts a ON a.run_id = s.run_id AND a.key = p.attempt_key"
        " WHERE a.id = ? AND s.name = 'custom'",
        attempt.attempt_id,
    )
    samples = ask(
        database,
        "SELECT m.completion FROM samples m JOIN attempts a ON a.run_id = m.run_id"
        " AND a.key = m.attempt_key WHERE a.id = ?",
        attempt.attempt_id,
    )
    stored, texts = Counter(step for step, _ in points), Counter(text for (text,) in samples)
    for step in attempt.returned:
        found.counts["logged"] += 1
        if not stored[step]:
            found.say("lost", f"step {step} of attempt {attempt.attempt_id} was logged and is lost")
        if not texts[f"{attempt.attempt_id} {step}"]:
            found.say("lost", f"the sample of step {step} of {attempt.attempt_id} is lost")
    in_flight = len(set(attempt.tried) - set(attempt.returned))
    found.counts["in flight"] += in_flight
    if in_flight > 1:
        found.say("lost", f"{in_flight} steps were in flight in attempt {attempt.attempt_id}")
    for what, number in [*stored.items(), *texts.items()]:
        if number > 1:
            found.say("doubled", f"{what} of attempt {attempt.attempt_id} is there {number} times")
    for step, value in points:
        found.counts["stored"] += 1
        if value != value_of(attempt.attempt_id, step) or step not in set(attempt.tried):
            found.say("wrong", f"step {step} of attempt {attempt.attempt_id} holds {value}")


def check_acknowledged(database: str, spool: Path) -> Found:
    """Compare what a spool says the monitor acknowledged with what the monitor says it took."""
    found = Found()
    cursor = spool / "cursor.json"
    acked = json.loads(cursor.read_text())["acked"] if cursor.exists() else 0
    rows = ask(database, "SELECT next_seq FROM attempts WHERE id = ?", spool.name)
    taken = rows[0][0] if rows else 0
    found.counts["acked"] += acked
    if taken < acked:
        found.say("lost", f"attempt {spool.name}: {acked} acknowledged, {taken} taken")
    return found


def check_effective(database: str, run_id: str, last_step: int) -> Found:
    """Check that every step up to the last one counts exactly once: the latest attempt's value."""
    found = Found()
    rows = ask(
        database,
        "SELECT p.step, a.id, p.value FROM points p JOIN series s ON s.id = p.series_id"
        " JOIN attempts a ON a.run_id = s.run_id AND a.key = p.attempt_key"
        " WHERE s.run_id = ? AND s.name = 'custom'",
        run_id,
    )
    begun: dict[str, int] = {}
    for step, attempt_id, _ in rows:
        begun[attempt_id] = min(step, begun.get(attempt_id, step))
    counting: Counter[int] = Counter()
    for step, attempt_id, _ in rows:
        later = [first for other, first in begun.items() if other > attempt_id]
        if step < min(later, default=2**62):
            counting[step] += 1
    for step in range(1, last_step + 1):
        found.counts["effective"] += 1
        if counting[step] != 1:
            found.say("gap", f"run {run_id}: step {step} counts {counting[step]} times")
    return found
