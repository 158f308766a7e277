"""An attempt on its way to the monitor: its announcement and its spool, live or left behind."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from cusp.connection import connect
from cusp.process import file_lock
from cusp.transport.spool import Spool


@dataclass
class Attempt:
    """One attempt's spool on its way: the live one, or one that a dead process left behind."""

    start: dict[str, object]
    spool: Spool
    announced: bool = False
    forgotten: bool = False
    lock: file_lock.Lock | None = (
        None  # keeps `cusp sync` and other trainings from shipping it, too
    )
    late: bool = False  # the process that wrote it has ended
    superseded: bool = False  # a later one has the run, says the monitor
    withheld: int = 0  # points not written since it was told that it is superseded
    born: float = field(default_factory=time.monotonic)

    def close(self) -> None:
        """Close the spool and let others have it."""
        self.spool.close()
        if self.lock is not None:
            self.lock.close()
            self.lock = None

    @property
    def run_id(self) -> str:
        return str(self.start["run_id"])

    @property
    def attempt_id(self) -> str:
        return str(self.start["attempt_id"])

    def announcement(self) -> dict[str, object]:
        """Return what the monitor is told of it now: also whether it lives, and its age.

        Of a living one the age is exact, though the clock may have been set meanwhile. A superseded one is
        told to a monitor that knows neither (a new database) as one of the past, whichever of the two comes
        first: it would take the run back otherwise, which it does not write to any more.
        """
        at = self.start.get("at")
        age_s: float | None = time.monotonic() - self.born
        if self.late:  # what an older version wrote does not say when it began
            age_s = max(0.0, time.time() - at) if isinstance(at, int | float) else None
        told = {**self.start, "late": self.late, "age_s": age_s}
        return {**told, "late": True, "after": None} if self.superseded else told


def refusal(
    url: str, token: str | None, start: dict[str, object], timeout_s: float = 3.0
) -> str | None:
    """Return why the monitor takes no attempt of this run, or None: it does, or cannot be asked now.

    Announces the attempt, which the sender does again: a repeat changes nothing.
    """
    try:
        with connect(url, token, timeout=timeout_s) as http:
            answer = http.post("/runs", json={**start, "late": False, "age_s": 0.0})
        if answer.status_code not in (409, 410):
            return None
        return str(answer.json()["detail"])[:500]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None


def load_leftover(folder: Path) -> Attempt | None:
    """Return the attempt that a dead process left in `folder` with messages unsent, or None.

    It is locked until it is closed: one process at a time opens a spool.
    """
    try:
        start = json.loads((folder / "start.json").read_text())
        lock = file_lock.take(folder / "lock")
    except (OSError, ValueError):
        return None
    if lock is None:
        return None
    attempt = Attempt(start, Spool(folder), lock=lock, late=True)
    if attempt.spool.pending() == 0:
        attempt.close()
        return None
    return attempt
