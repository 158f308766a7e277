"""The JSON shapes of docs/reference/rest.md, made from rows. Used by REST, events and pages alike."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Json = dict[str, Any]
Phase = Literal["warming_up", "adapting", "adapted", "turning", "past", "collapsed"]


class Shape(BaseModel):
    """Base of the objects: nothing undeclared."""

    model_config = ConfigDict(extra="forbid")


def attempt_numbers(rows: Sequence[Any]) -> dict[int, int]:
    """Return {attempt key: number}, numbered from 1 in the order of their lives."""
    return {row.key: number for number, row in enumerate(rows, 1)}


def columns(row: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return these columns of a row by name."""
    return {name: getattr(row, name) for name in names}
