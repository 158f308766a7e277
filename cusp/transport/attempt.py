"""One attempt to be shipped: its announcement and its spool, live or left behind by a dead process."""

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
    """Announcement, spool and lock of one attempt, and its state at the monitor."""

    start: dict[str, object]
    spool: Spool
    announced: bool = False
    forgotten: bool = False
    lock: file_lock.Lock | None = None  # excludes `cusp sync` and other trainings
    late: bool = False  # its process has ended
    superseded: bool = False  # the monitor reports a later attempt
    withheld: int = 0  # points not written since it was superseded
    born: float = field(default_factory=time.monotonic)

    def close(self) -> None:
        """Close the spool and release its lock."""
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
        """Return the announcement as of now, with liveness and age in seconds.

        The age of a live attempt is exact even if the clock was set meanwhile. A superseded attempt is
        announced as late: a monitor with a new database would otherwise make it the current one, though it
        writes no more.
        """
        at = self.start.get("at")
        age_s: float | None = time.monotonic() - self.born
        if self.late:  # files of an older version have no start time
            age_s = max(0.0, time.time() - at) if isinstance(at, int | float) else None
        told = {**self.start, "late": self.late, "age_s": age_s}
        return {**told, "late": True, "after": None} if self.superseded else told


def refusal(
    url: str, token: str | None, start: dict[str, object], timeout_s: float = 3.0
) -> str | None:
    """Return why the monitor refuses the attempt; None if it accepts or cannot be reached.

    Announces the attempt; idempotent, so the sender may repeat it.
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
    """Return the attempt of a dead process in `folder` with unsent messages, or None.

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
