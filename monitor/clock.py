"""Formats UTC seconds as ISO 8601 times."""

from datetime import UTC, datetime


def when(seconds: float | None) -> str | None:
    """Return UTC seconds since 1970 in ISO 8601, None for None.

    >>> when(0.0)
    '1970-01-01T00:00:00.000Z'
    """
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
