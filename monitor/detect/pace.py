"""How many points are asked for: a point that is the mean of many steps tells more than one of a step.

The least numbers of points (8 to compare, 24 to begin) guard against noise that lasts for some
steps. A log of every tenth step has averaged that already, and 8 of its points are 80 steps of
training; so less is asked of it. How well the noise is known depends on the points alone.
"""

EVERY_STEP = 1.0
_COARSE, _COARSEST = (4.0, 0.75), (8.0, 0.5)


def pace_of(steps_per_point: float) -> float:
    """Return the share of the usual number of points that is asked for.

    >>> pace_of(1.0), pace_of(5.0), pace_of(10.0)
    (1.0, 0.75, 0.5)
    """
    for least, share in (_COARSEST, _COARSE):
        if steps_per_point >= least:
            return share
    return EVERY_STEP
