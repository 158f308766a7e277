"""Terminal lines for the changes of a run since the last poll."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


class News:
    """Remembers the reported state of a run, and yields lines for its changes."""

    def __init__(self) -> None:
        self._phase = ""
        self._known: set[str] = set()

    def of(self, run: Json | None) -> Iterator[str]:
        """Yield a line for a new phase, decision or command state."""
        if not run:
            return
        if run["phase"] != self._phase and run["step"]:
            self._phase = run["phase"]
            yield f"  step {run['step']}: {run['phase'].replace('_', ' ')}. {run['words']}"
        for decision in run["decisions"]:
            if self._new(decision["id"]):
                yield f"  decision: {decision['kind']}. {decision['reason']}"
        for command in run["commands"]:
            if self._new(command["id"] + command["state"]):
                yield f"  {command['kind']} command {command['state']}"

    def _new(self, key: str) -> bool:
        fresh = key not in self._known
        self._known.add(key)
        return fresh
