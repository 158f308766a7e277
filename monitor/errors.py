"""The monitor's own errors; monitor/api/problem_details.py maps each to an HTTP status and a title."""


class UnknownRun(LookupError):
    """No such run or attempt here: the trainer must announce it (again)."""


class Undeletable(RuntimeError):
    """The run cannot be deleted, restored or purged now; the message says why and what would help."""


class Deleted(RuntimeError):
    """The run is deleted; it has to be restored before anything is done with it."""


class Purged(LookupError):
    """The run is gone for good, and what still arrives for it is refused."""


class NotFound(LookupError):
    """There is no such thing; the message names it."""


class Forbidden(PermissionError):
    """The token does not cover this; the message says what does."""


class Conflict(RuntimeError):
    """The request does not fit what is there; the message says how."""


class QuotaExceeded(RuntimeError):
    """There is no room for another one; the message says of what, and what to do."""


class AddressRefused(ValueError):
    """A webhook may not point there; the message says why and what would do."""


class LeaseLost(Exception):
    """Another worker has the job, or it is over; what this one brings is refused."""


class AliasMoved(Exception):
    """The alias does not point where the caller believed."""

    def __init__(self, alias: str, current: str | None) -> None:
        where = f"at checkpoint {current}" if current else "nowhere"
        super().__init__(
            f"{alias!r} points {where}, not where you expected; look again and repeat with that"
        )
        self.current = current
