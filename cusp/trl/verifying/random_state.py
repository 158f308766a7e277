"""Global state of a process that a training depends on, kept as it is while something else runs in it."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Restore the random state of python, numpy and torch (CPU and all devices in use) at the end.

    Also whether torch records gradients, and its default dtype: evaluation code switches both.
    """
    numpy: Any = sys.modules.get("numpy")
    of_python = random.getstate()
    of_numpy = numpy.random.get_state() if numpy is not None else None
    of_cpu = torch.get_rng_state()
    used = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    of_devices = torch.cuda.get_rng_state_all() if used else []
    records_gradients, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    try:
        yield
    finally:
        torch.set_grad_enabled(records_gradients)
        torch.set_default_dtype(dtype)
        random.setstate(of_python)
        if of_numpy is not None:
            numpy.random.set_state(of_numpy)
        torch.set_rng_state(of_cpu)
        if used:
            torch.cuda.set_rng_state_all(of_devices)
