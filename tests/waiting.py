"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable


def wait_until(
    true: Callable[[], object], most_s: float, why: str = "it did not come in time"
) -> None:
    """Return once it is true; AssertionError with `why` after `most_s` seconds."""
    until = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < until, why
        time.sleep(0.01)
