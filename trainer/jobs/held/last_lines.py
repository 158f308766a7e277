"""The last lines of what a worker writes about a job, for the monitor's page of it."""

import logging
import threading
from collections import deque
from typing import Any

from cusp.protocol.fields import storable_text
from cusp.protocol.job_log import MOST_CHARACTERS, MOST_LINES


class LastLines(logging.Handler):
    """The last lines of a job: what it says, and warnings of the libraries that it uses.

    As a handler of the root logger it changes nothing for who logs: it never raises, and what no other handler
    takes is on stderr as without it.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._total = 0
        self._own = threading.Lock()

    def add(self, text: str) -> None:
        """Add a text, line by line; of a line that was written over, as by a progress bar, how it was left."""
        for line in text.split("\n"):
            left = storable_text(line.rstrip().rpartition("\r")[2])[:MOST_CHARACTERS]
            with self._own:
                self._lines.append(left)
                self._total += 1

    def emit(self, record: logging.LogRecord) -> None:
        try:
            words = record.getMessage()
        except (
            Exception
        ) as error:  # whatever a message's parts raise; the console has the traceback
            words = f"a message of {record.name} that cannot be read ({type(error).__name__})"
        self.add(f"{record.levelname.lower()}: {words}")
        # `logging` asks its handler of last resort only where there is no other one, and this is one.
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and not self._is_taken(record.name):
            last.handle(record)

    def _is_taken(self, name: str) -> bool:
        """Return whether another handler takes what is logged under a name."""
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if any(each is not self for each in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False

    @property
    def total(self) -> int:
        """How many lines there were."""
        return self._total

    def told(self) -> dict[str, Any] | None:
        """Return the log as the monitor takes it, None while it is empty."""
        with self._own:
            return {"total": self._total, "lines": list(self._lines)} if self._total else None
