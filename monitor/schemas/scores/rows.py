"""The rows of an evaluation as docs/reference/rest.md tells of them."""

from typing import Any

from monitor.schemas.base import Json, Shape, columns
from monitor.schemas.evaluation import Comparison, RunEvaluation
from monitor.schemas.scores.differences import SampleText


class ScoredRow(SampleText):
    problem_id: str


class ScoredRows(Shape):
    rows: list[ScoredRow]
    next: str | None


class StoredTexts(Shape):
    """Rows that got their text, and texts that found no room: 50,000,000 characters an evaluation."""

    stored: int
    left_out: int


class StoredProblems(Shape):
    stored: int


class PostedEvaluation(Shape):
    """The evaluation as it is now, its new rows, and texts that found no room."""

    evaluation: RunEvaluation
    stored: int
    left_out: int


class Compared(Shape):
    """A comparison by stored rows, kept as a finished job."""

    job_id: str
    comparison: Comparison


def scored_row(row: Any) -> Json:
    """Return a `ScoredRow`."""
    return columns(row, tuple(ScoredRow.model_fields))
