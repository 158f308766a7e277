"""Rank of this process in a distributed training, from the launcher's environment variables."""

import os
from collections.abc import Mapping
from typing import NamedTuple

# The first one set counts. CUSP_RANK is the user's override; torchrun and accelerate set RANK.
_VARIABLES = (
    ("CUSP_RANK", None),
    ("RANK", None),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("LOCAL_RANK", None),
)
_TOLD = ("CUSP_RANK", "RANK")


class Rank(NamedTuple):
    """The rank of a process, and the environment variable it comes from (None: none is set)."""

    number: int
    variable: str | None

    @property
    def is_guess(self) -> bool:
        """Whether the variable only numbers the launcher's tasks, which may be separate trainings."""
        return self.variable is not None and self.variable not in _TOLD


def rank(environment: Mapping[str, str] = os.environ) -> Rank:
    """Return this process's rank; 0 where no variable is set.

    >>> rank({"RANK": "3"}), rank({"SLURM_PROCID": "2", "SLURM_NTASKS": "1"}).number, rank({}).number
    (Rank(number=3, variable='RANK'), 0, 0)
    """
    for name, size in _VARIABLES:
        value = environment.get(name, "")
        if value.isdecimal() and (size is None or environment.get(size) != "1"):
            return Rank(int(value), name)
    return Rank(0, None)
