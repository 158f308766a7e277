"""Reader of held-out scores: a CSV with a row for each checkpoint and problem."""

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from monitor.replay.readers.rows import LogError

COLUMNS = ("step", "problem", "score")
_SHOWN = 3  # problems that a note names


class ScoresError(LogError):
    """Held-out scores that cannot be read: one sentence with file, line and value, and the way out."""


@dataclass(frozen=True)
class CheckpointScores:
    """Scores of checkpoints on the same problems.

    `scores` are by the checkpoint's step, in the order of `problems`: in [0, 1], None where a checkpoint has none.
    `notes` are sentences on what is missing.
    """

    problems: tuple[str, ...]
    scores: Mapping[int, tuple[float | None, ...]]
    notes: tuple[str, ...] = ()

    def at(self, step: int) -> int | None:
        """Return the newest scored checkpoint at or before `step`, None if there is none.

        >>> CheckpointScores(("a",), {10: (1.0,), 20: (0.0,)}).at(19)
        10
        """
        return max((one for one in self.scores if one <= step), default=None)


def read_scores(path: Path) -> CheckpointScores:
    """Return the scores in a CSV with the columns step, problem and score (others are ignored).

    Problems are in the order in which the file first names them. ScoresError names the line and the value.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ScoresError(f"{path} cannot be read ({reason}); give a CSV of scores") from None
    found: dict[int, dict[str, float]] = {}
    lines: dict[tuple[int, str], int] = {}
    for line, cells in _rows(path, text):
        step, problem, score = _row(path, line, cells)
        if (first := lines.setdefault((step, problem), line)) != line:
            raise ScoresError(
                f"{path}, line {line}: problem {problem!r} of step {step} has a score already (line {first});"
                " leave one of them"
            )
        found.setdefault(step, {})[problem] = score
    if not found:
        raise ScoresError(f"{path} has no scores; give a row for each step and problem")
    problems = tuple(dict.fromkeys(problem for _, problem in lines))
    scores = {step: tuple(found[step].get(one) for one in problems) for step in sorted(found)}
    notes = tuple(_missing(step, problems, found[step]) for step in sorted(found))
    return CheckpointScores(problems, scores, tuple(note for note in notes if note))


def _rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    head = next(iter(text.splitlines()), "")
    reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=head.count))
    try:
        columns = [cell.strip().lower() for cell in next(reader, [])]
        if missing := [name for name in COLUMNS if name not in columns]:
            shown = ", ".join(column for column in columns if column) or "nothing"
            raise ScoresError(
                f"{path}, line 1: there is no column {missing[0]!r} (found: {shown}); the first line names the"
                " columns step, problem and score"
            )
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, dict(zip(columns, cells, strict=False))
    except csv.Error as error:
        raise ScoresError(f"{path}: this is no CSV ({error}); export it again") from None


def _row(path: Path, line: int, cells: Mapping[str, str]) -> tuple[int, str, float]:
    told = {name: cells.get(name, "").strip() for name in COLUMNS}
    step, score = _number(told["step"]), _number(told["score"])
    if not (step >= 0 and step.is_integer()):
        raise ScoresError(
            f"{path}, line {line}: step {told['step']!r} is no step; give the optimiser step of the"
            " checkpoint, such as 50"
        )
    if not told["problem"]:
        raise ScoresError(f"{path}, line {line}: the problem has no name; give each its own")
    if not 0 <= score <= 1:
        raise ScoresError(
            f"{path}, line {line}: score {told['score']!r} is not between 0 and 1; give the share of the"
            " problem's samples that is right"
        )
    return int(step), told["problem"], score


def _number(text: str) -> float:
    """Return the number, NaN for what is none or infinite."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _missing(step: int, problems: tuple[str, ...], scores: Mapping[str, float]) -> str:
    absent = [one for one in problems if one not in scores]
    if not absent:
        return ""
    shown = ", ".join(absent[:_SHOWN]) + (", ..." if len(absent) > _SHOWN else "")
    return (
        f"checkpoint {step} has scores of {len(scores)} of {len(problems)} problems (not of {shown}); it is"
        " compared on those that both have"
    )
