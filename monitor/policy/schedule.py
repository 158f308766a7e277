"""The step at which a run is looked at without a suspicion. Pure."""

# Of max_steps: 6 of the zoo's 70 losing runs are never suspected. At .6 to .75 as many are stopped; a second look
# at .75 costs 16 completions a run and finds none more.
SCHEDULED_AT = 0.5


def mark(step: int, max_steps: int | None) -> float | None:
    """Return the scheduled step if it is not after this one, else None.

    >>> mark(99, 200), mark(120, 200), mark(150, None)
    (None, 100.0, None)
    """
    at = SCHEDULED_AT * (max_steps or 0)
    return at if 0 < at <= step else None
