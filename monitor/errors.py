"""The monitor's own errors; monitor/api/problem_details.py maps each to an HTTP status and a title."""


class UnknownRun(LookupError):
    """The run or attempt is unknown: the trainer must announce it (again)."""


class Undeletable(RuntimeError):
    """The run cannot be deleted, restored or purged now; the message gives the reason and the way out."""


class Deleted(RuntimeError):
    """The run is deleted; it must be restored first."""


class Purged(LookupError):
    """The run is purged; late messages for it are refused."""


class NotFound(LookupError):
    """The object does not exist; the message names it."""


class Forbidden(PermissionError):
    """The token does not permit this; the message names the scope that does."""


class Conflict(RuntimeError):
    """The request conflicts with the present state; the message says how."""


class QuotaExceeded(RuntimeError):
    """A quota is used up; the message names it and the way out."""


class AddressRefused(ValueError):
    """A webhook's address is not allowed; the message gives the reason and the way out."""


class LeaseLost(Exception):
    """The job's lease belongs to another worker, or the job has ended; this worker's result is refused."""


class AliasMoved(Exception):
    """The alias no longer points where the caller expected (a lost compare-and-swap)."""

    def __init__(self, alias: str, current: str | None) -> None:
        where = f"at checkpoint {current}" if current else "nowhere"
        super().__init__(
            f"{alias!r} points {where}, not where you expected; look again and repeat with that"
        )
        self.current = current
