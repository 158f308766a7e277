"""One finding of `cusp doctor`."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failure"]


@dataclass(frozen=True)
class Check:
    """What was found under a name, and the way out unless it is `ok`. Only a failure fails the command."""

    name: str
    state: State
    words: str
    way_out: str | None = None


def ok(name: str, words: str) -> Check:
    """Return a finding that needs nothing."""
    return Check(name, "ok", words)


def warning(name: str, words: str, way_out: str) -> Check:
    """Return a finding that a training can live with."""
    return Check(name, "warning", words, way_out)


def failure(name: str, words: str, way_out: str) -> Check:
    """Return a finding on which a training fails."""
    return Check(name, "failure", words, way_out)
