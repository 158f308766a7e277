"""The rows of one evaluation in a file that is only appended to: what was finished outlasts any kill.

A row is a line of JSON. What was written of a line when the process was killed ends in a line that is none, which is
left out, so its row is made again. Two processes that append (a worker that lost its job and the one that took it)
make the same rows; the first of each that is decided is taken.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from trainer.evaluation.sample_row import SampleRow

Place = tuple[str, int]
"""A problem's id, and the number of the sample."""


class RowFile:
    """The rows in one file, by problem and sample."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.rows: dict[Place, SampleRow] = {}
        content = file.read_bytes() if file.is_file() else b""
        for line in content.split(b"\n"):
            if (row := _row(line)) is not None:
                place = (row.problem_id, row.sample)
                if place not in self.rows or self.rows[place].score is None:
                    self.rows[place] = row
        self._torn = bool(content) and not content.endswith(b"\n")

    def add(self, rows: Sequence[SampleRow]) -> None:
        """Append rows that it has not, in one write of the system, and know them from now on."""
        rows = [row for row in rows if self.rows.get((row.problem_id, row.sample)) != row]
        text = "\n" * self._torn + "".join(f"{json.dumps(list(row))}\n" for row in rows)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            rest = memoryview(text.encode())
            while rest:
                rest = rest[os.write(opened, rest) :]
        finally:
            os.close(opened)
        self._torn = False
        self.rows |= {(row.problem_id, row.sample): row for row in rows}


def _row(line: bytes) -> SampleRow | None:
    """Return the row of a line, or None for one that is torn or of another version."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    if not isinstance(content, list) or len(content) != len(SampleRow._fields):
        return None
    return SampleRow(*content)
