"""Scores of a checkpoint as messages: rows mended and cut, in portions of whole problems. Nothing here is sent."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cusp.ids import new_id
from cusp.protocol.fields import MAX_NAME_LENGTH, MAX_STEP
from cusp.protocol.scored import MAX_INT, MAX_SAMPLE, portions, problem_name, sendable_row

MOST_ROWS = 200_000  # of an evaluation, at the monitor
_WHOLE = {"tokens": MAX_INT, "seed": MAX_STEP}  # the largest that the monitor takes
_ASCII = re.compile(r"[ -~]*")


class UnusableScores(ValueError):
    """The scores cannot be sent; the message names the row and what is wrong with it."""


def posts(
    task: str,
    rows: Iterable[Mapping[str, Any]] = (),
    problems: Iterable[Mapping[str, Any]] = (),
    *,
    pass_at_1: float | None = None,
    n_problems: int | None = None,
    **told: Any,
) -> list[dict[str, Any]]:
    """Return the bodies of `POST /runs/{id}/evaluations`, all of one evaluation; UnusableScores says why not.

    A row is `{"problem_id", "score", "sample"?, "tokens"?, "finish_reason"?, "seed"?, "text"?, "answer"?}`; without
    `sample` the rows of a problem are numbered in their order. Without rows: `pass_at_1` of `n_problems`. `told` are
    the other fields of `cusp.protocol.scored.Posted`; what is None is left out.
    """
    head = _head(task, {name: value for name, value in told.items() if value is not None})
    by_problem = _grouped(rows)
    if not by_problem:
        if pass_at_1 is None or n_problems is None:
            raise UnusableScores("give rows, or pass_at_1 and the number of problems n")
        return [
            {**head, "pass_at_1": _share(pass_at_1, "pass_at_1"), "n_problems": int(n_problems)}
        ]
    asked = _asked(problems)
    return [
        {
            **head,
            "rows": [row for name in names for row in by_problem[name]],
            "problems": [asked[name] for name in names if name in asked],
        }
        for names in portions(
            list(by_problem), lambda name: _size(by_problem[name], asked.get(name))
        )
    ]


def _head(task: str, told: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(task, str) or not 0 < len(task) <= MAX_NAME_LENGTH:
        raise UnusableScores(
            f"a task has a name of 1 to {MAX_NAME_LENGTH} characters, not {task!r:.80}"
        )
    if told.get("split", "report") not in ("selection", "report"):
        raise UnusableScores(f"split is 'selection' or 'report', not {told['split']!r:.80}")
    judge = {"preset": problem_name(told["preset"])} if told.get("preset") else {}
    return {"evaluation_id": new_id(), "task": task, "source": "client", **told, **judge}


def _grouped(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    seen: set[tuple[str, int]] = set()
    for number, row in enumerate(rows):
        if number >= MOST_ROWS:
            raise UnusableScores(f"an evaluation has {MOST_ROWS:,} rows at most; split it by task")
        if not isinstance(row, Mapping) or "problem_id" not in row or "score" not in row:
            raise UnusableScores(f"row {number} needs a problem_id and a score, not {row!r:.120}")
        name = problem_name(row["problem_id"])
        samples = found.setdefault(name, [])
        samples.append(_row(name, row, len(samples)))
        if (pair := (name, samples[-1]["sample"])) in seen:
            raise UnusableScores(
                f"row {number} is sample {pair[1]} of problem {name!r} once more; number the samples of a"
                " problem, or leave sample out"
            )
        seen.add(pair)
    counts = {len(samples) for samples in found.values()}
    if len(counts) > 1:
        raise UnusableScores(
            f"every problem needs as many samples; here some have {min(counts)} and some {max(counts)}"
        )
    return found


def _row(name: str, row: Mapping[str, Any], place: int) -> dict[str, Any]:
    sample = row.get("sample")
    sample = place if sample is None else int(sample)
    if not 0 <= sample <= MAX_SAMPLE:
        raise UnusableScores(f"sample {sample} of problem {name!r} is not from 0 to {MAX_SAMPLE}")
    score = row["score"]
    made: dict[str, Any] = {
        "problem_id": name,
        "sample": sample,
        "score": None if score is None else _share(score, f"the score of problem {name!r}"),
    }
    counts = {each: _count(row.get(each), most) for each, most in _WHOLE.items()}
    made |= {each: number for each, number in counts.items() if number is not None}
    end = row.get("finish_reason")
    if end is not None and _ASCII.fullmatch(str(end)):
        made["finish_reason"] = str(end)[:16]
    return sendable_row({**made, "text": row.get("text"), "answer": row.get("answer")})


def _count(value: Any, most: int) -> int | None:
    """Return a number beside a score, None where the monitor would not take it (torch's seeds have 64 bits)."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number <= most else None


def _asked(problems: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what is told of the problems by name, without those that cannot be read: scores do not need them."""
    found = {}
    for one in problems:
        if not isinstance(one, Mapping) or one.get("problem_id") is None:
            continue
        name = problem_name(one["problem_id"])
        made = sendable_row({"text": one.get("question"), "answer": one.get("gold")})
        question, gold = made.get("text", ""), made.get("answer", "")
        found[name] = {"problem_id": name, "question": question, "gold": gold}
    return found


def _share(value: Any, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise UnusableScores(f"{what} must be a number from 0 to 1, not {value!r:.80}") from error
    if not 0 <= number <= 1:
        raise UnusableScores(f"{what} must be from 0 to 1, not {number}")
    return number


def _size(rows: Sequence[dict[str, Any]], problem: dict[str, Any] | None) -> int:
    return len(json.dumps(rows)) + (len(json.dumps(problem)) if problem else 0)
