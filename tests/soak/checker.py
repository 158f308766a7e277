"""The independent judge: plain SQL on the database against the notes that the trainers kept.

It imports nothing of the monitor and nothing of the client's logic. For a run it reads what each
attempt says it logged, and counts what the database has lost, doubled or changed.
"""

import hashlib
import itertools
import json
import sqlite3
import struct
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


def points_of(database: str, where: str, *values: object) -> Rows:
    """Return (step, attempt id, value) of the series `custom`: the rows, and what is packed (struct knows how)."""
    of = f"""JOIN series s ON s.id = p.series_id JOIN attempts a ON a.run_id = s.run_id AND a.key = p.attempt_key
        WHERE s.name = 'custom' AND {where}"""
    found = ask(database, f"SELECT p.step, a.id, p.value FROM points p {of}", *values)
    kept = "p.first, p.stride, p.size, p.packed"
    for attempt_id, first, stride, size, packed in ask(
        database, f"SELECT a.id, {kept} FROM blocks p {of}", *values
    ):
        wide = len(packed) // size - (0 if stride else 8)
        held = struct.unpack(f"<{size}{'f' if wide == 4 else 'd'}", packed[: wide * size])
        uneven = () if stride else struct.unpack(f"<{size}q", packed[wide * size :])
        steps = uneven or range(first, first + stride * size, stride)
        found += [(step, attempt_id, value) for step, value in zip(steps, held, strict=True)]
    return found


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
    points = points_of(database, "a.id = ?", attempt.attempt_id)
    samples = ask(
        database,
        "SELECT m.completion FROM samples m JOIN attempts a ON a.run_id = m.run_id"
        " AND a.key = m.attempt_key WHERE a.id = ?",
        attempt.attempt_id,
    )
    stored, texts = Counter(step for step, _, _ in points), Counter(text for (text,) in samples)
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
    for step, _, value in points:
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


def check_effective(database: str, run_id: str, noted: Sequence[Noted]) -> Found:
    """Check that every step up to the last attempt's last one counts exactly once, and none later."""
    found = Found()
    rows = points_of(database, "s.run_id = ?", run_id)
    begun: dict[str, int] = {}
    for step, attempt_id, _ in rows:
        begun[attempt_id] = min(step, begun.get(attempt_id, step))
    counting: Counter[int] = Counter()
    for step, attempt_id, _ in rows:
        later = [first for other, first in begun.items() if other > attempt_id]
        if step < min(later, default=2**62):
            counting[step] += 1
    last_step = next((one.returned[-1] for one in reversed(noted) if one.returned), 0)
    for step in range(1, max(last_step, max(counting, default=0)) + 1):
        found.counts["effective"] += 1
        if counting[step] != (step <= last_step):
            found.say("gap", f"run {run_id}: step {step} counts {counting[step]} times")
    return found


def check_checkpoints(database: str, run_id: str, root: Path) -> Found:
    """Check that every complete checkpoint on disk is registered as it is there."""
    found = Found()
    rows = ask(database, "SELECT id, sha256 FROM checkpoints WHERE run_id = ?", run_id)
    known: dict[str, str] = dict(rows)
    for manifest in sorted(root.glob("checkpoint-*/manifest.json")):
        found.counts["checkpoints"] += 1
        name = json.loads(manifest.read_bytes())["checkpoint_id"]
        if known.get(name) != hashlib.sha256(manifest.read_bytes()).hexdigest():
            found.say("unregistered", f"{manifest.parent} is complete and not registered")
    return found


def check_jobs(database: str) -> Found:
    """Check that every job has ended once, with a result or a reason, and its scores are whole."""
    found = Found()
    jobs = ask(database, "SELECT id, state, token, attempts, error, result, payload FROM jobs")
    for job_id, state, token, attempts, error, result, payload in jobs:
        found.counts[f"jobs {state}"] += 1
        found.counts["claims"] += attempts
        if state not in ("done", "failed"):
            found.say("hanging", f"job {job_id} is {state}")
        if token != attempts or attempts > 3:
            found.say("fencing", f"job {job_id} has token {token} after {attempts} claims")
        if state == "failed" and not error:
            found.say("unexplained", f"job {job_id} failed without a reason")
        if state == "done":
            _check_scores(database, job_id, _json(result), _json(payload), found)
    return found


def _check_scores(database: str, job_id: str, result: Any, payload: Any, found: Found) -> None:
    rows = ask(
        database,
        "SELECT e.step, e.split, e.scores, (SELECT count(*) FROM evaluation_rows r"
        " WHERE r.evaluation_id = e.id) FROM evaluations e WHERE e.job_id = ?",
        job_id,
    )
    number = Counter((step, split) for step, split, _, _ in rows)
    compared = result["comparison"]
    out = " ".join(compared.get("left_out", []))
    screened = {row["step"] for row in compared["rows"] if row["split"] == "selection"}
    for candidate in payload["candidates"]:
        for split in ("selection", "report"):
            further = split == "selection" or candidate["step"] not in screened
            wanted = int(f"Step {candidate['step']} was left out" not in out and further)
            if number[candidate["step"], split] != wanted:
                found.say(
                    "scores",
                    f"job {job_id}: step {candidate['step']} has {number[candidate['step'], split]}"
                    f" {split} evaluations instead of {wanted}",
                )
    for step, split, scores, count in rows:
        found.counts["scores"] += count
        if _json(scores)["n_samples"] != count:
            found.say("scores", f"job {job_id}: {count} rows of step {step} ({split})")


def check_promotions(database: str, keys: Sequence[tuple[str, str]]) -> Found:
    """Check the audit log: each request moved its alias once, and each move starts where one ended.

    `keys` are the (alias, checkpoint id) that a person promoted, each once and never again.
    """
    found = Found()
    rows = ask(
        database,
        "SELECT run_id, target, detail FROM audit WHERE action = 'promote' ORDER BY run_id, at, id",
    )
    moves: dict[tuple[str, str], list[tuple[str, str | None]]] = {}
    for run_id, target, detail in rows:
        told = _json(detail)
        moves.setdefault((run_id, told["alias"]), []).append((target, told["previous"]))
    times = Counter((alias, to) for (_, alias), made in moves.items() for to, _ in made)
    for alias, checkpoint_id in keys:
        found.counts["promotions asked for"] += 1
        if times[alias, checkpoint_id] != 1:
            number = times[alias, checkpoint_id]
            found.say("promotions", f"{checkpoint_id} was promoted {number} times to {alias}")
    for (run_id, alias), made in moves.items():
        found.counts["alias moves"] += len(made)
        stands = ask(
            database, "SELECT checkpoint_id FROM aliases WHERE run_id=? AND alias=?", run_id, alias
        )
        if [row[0] for row in stands] != [made[-1][0]]:
            found.say("promotions", f"{alias} of {run_id} does not point where it was moved last")
        for (before, _), (to, previous) in itertools.pairwise(made):
            if previous != before or to == before:
                found.say("promotions", f"{alias} of {run_id} moved from {previous}, not {before}")
    return found


def check_commands(database: str, keys: Sequence[tuple[str, str]]) -> Found:
    """Check that each finding led to one decision of a kind, and each (run, command) asked for is there."""
    found = Found()
    for state, number in ask(database, "SELECT state, count(*) FROM commands GROUP BY state"):
        found.counts[f"commands {state}"] += number
    twice = ask(
        database,
        "SELECT run_id, finding, kind FROM decisions GROUP BY run_id, finding, kind"
        " HAVING count(*) > 1",
    )
    for run_id, finding, kind in twice:
        found.say("decisions", f"run {run_id}: {kind} was decided twice on {finding}")
    for run_id, command_id in keys:
        rows = ask(database, "SELECT run_id FROM commands WHERE id = ?", command_id)
        if rows != [(run_id,)]:
            found.say("commands", f"the command {command_id} of run {run_id} is lost")
    return found


def _json(value: Any) -> Any:
    """Return a JSON column, which PostgreSQL's driver has read already."""
    return json.loads(value) if isinstance(value, str) else value
