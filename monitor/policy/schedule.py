"""Steps at which a run is looked at without a suspicion. Pure."""

SCHEDULE = (0.5, 0.75)  # of max_steps; 6 of the zoo's 70 losing runs are never suspected


def mark(step: int, max_steps: int | None) -> float | None:
    """Return the last scheduled step up to this one, None before the first.

    >>> mark(99, 200), mark(120, 200), mark(150, 200), mark(150, None)
    (None, 100.0, 150.0, None)
    """
    marks = [share * (max_steps or 0) for share in SCHEDULE]
    return max((one for one in marks if 0 < one <= step), default=None)
