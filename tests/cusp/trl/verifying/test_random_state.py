"""A function that evaluates leaves the training as it was: random numbers, gradients, default dtype."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cusp.trl.verifying import by_function
from cusp.trl.verifying.held_out import CannotVerify


def switches(path: Path) -> list[float]:
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    if path.name == "broken":
        raise ValueError("no such file")
    return [1.0]


def fails() -> None:
    with pytest.raises(CannotVerify, match="no such file"):
        by_function.scored(switches, 4, Path("broken"), [], {})


def returns() -> None:
    by_function.scored(switches, 4, Path("whole"), [], {})


@pytest.mark.parametrize("call", [returns, fails])
def test_what_a_function_switches_is_switched_back_also_when_it_fails(
    call: Callable[[], None],
) -> None:
    before = torch.get_rng_state()
    call()
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.get_rng_state(), before)
