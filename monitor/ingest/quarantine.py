"""Setting messages aside that cannot be taken: kept with their reason, bounded, counted."""

import json
from typing import Any

from monitor.actions.quotas import KEPT_ASIDE
from monitor.database.engine import Transaction
from monitor.store import quarantine

BODY_LIMIT = 4_096  # characters kept of a message


class Quarantine:
    """What one batch of one attempt sets aside; `count` says how many messages had a part in it."""

    def __init__(self, tx: Transaction, run_id: str, key: int, now: float) -> None:
        self._tx, self._run_id, self._key, self._now = tx, run_id, key, now
        self._kept: int | None = None
        self._more = 0
        self.count = 0

    def add(self, seq: int, raw: Any, reason: str) -> None:
        """Set a message aside, or count it where the run has set too many aside."""
        self.count += 1
        if self._kept is None:
            self._kept = quarantine.stored(self._tx, self._run_id)
        if self._kept >= KEPT_ASIDE:
            self._more += 1
            return
        self._kept += 1
        row = {"run_id": self._run_id, "attempt_key": self._key, "seq": seq, "at": self._now}
        body = _storable(json.dumps(raw, default=str)[:BODY_LIMIT])
        quarantine.add(self._tx, {**row, "body": body, "reason": _storable(reason)[:2_000]})

    def close(self) -> None:
        """Write down how many were only counted. To be called once, at the end of the batch."""
        if self._more:
            quarantine.count_more(self._tx, self._run_id, self._key, self._more, self._now)


def _storable(text: str) -> str:
    """Return the text without what PostgreSQL cannot hold; a reason quotes what was sent."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
