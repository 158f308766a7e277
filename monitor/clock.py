"""The JSON shapes of docs/reference/rest.md, made from rows. Used by REST, events and pages alike."""

from datetime import UTC, datetime


def when(seconds: float | None) -> str | None:
    """Return a time in ISO 8601, UTC, or None.

    >>> when(0.0)
    '1970-01-01T00:00:00.000Z'
    """
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
