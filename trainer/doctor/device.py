"""Checks of the accelerators: the driver against torch's CUDA, the GPUs and their memory, who has the box."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from trainer.box import Box, BoxSettingError
from trainer.doctor.check import Check, failure, ok, warning

# Lowest driver for each major version of CUDA (NVIDIA, "CUDA Toolkit Release Notes", table "CUDA Toolkit and
# Minimum Required Driver Version for CUDA Minor Version Compatibility").
LOWEST_DRIVER = {11: (450, 80, 2), 12: (525, 60, 13), 13: (580,)}
_QUERY = (
    "nvidia-smi",
    "--query-gpu=name,memory.total,driver_version",
    "--format=csv,noheader,nounits",
)
_PASSED_ON = (
    "in a container pass the GPUs on (docker: --gpus all and the NVIDIA container toolkit); on the machine"
    " itself load the driver"
)


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver tells it; memory in MiB."""

    name: str
    memory_mib: int
    driver: tuple[int, ...]


def listed(csv: str) -> list[Gpu]:
    """Return the GPUs in nvidia-smi's answer to name, memory.total, driver_version.

    >>> listed("NVIDIA L40S, 46068, 550.90.07")
    [Gpu(name='NVIDIA L40S', memory_mib=46068, driver=(550, 90, 7))]
    """
    found = []
    for line in csv.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 3 and parts[1].isdecimal():
            driver = tuple(int(part) for part in parts[2].split(".") if part.isdecimal())
            found.append(Gpu(parts[0], int(parts[1]), driver))
    return found


def seen_by_driver() -> list[Gpu]:
    """Return the GPUs that nvidia-smi lists; none where there is no such program or it fails."""
    try:
        done = subprocess.run(_QUERY, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return listed(done.stdout)


def driver(gpus: list[Gpu], cuda: str | None) -> Check:
    """Return whether the driver is new enough for the CUDA that torch was built for (None: for the CPU).

    >>> driver([Gpu("L40S", 46068, (470, 1))], "12.8").words
    'driver 470.1 is older than 525.60.13, which torch built for CUDA 12.8 needs'
    """
    if not gpus:
        return warning("driver", "there is no NVIDIA driver (nvidia-smi lists no GPU)", _PASSED_ON)
    has = gpus[0].driver
    if cuda is None:
        return failure(
            "driver",
            f"driver {_dotted(has)} is there, but torch was built for the CPU alone",
            "install torch for CUDA (https://pytorch.org/get-started/locally)",
        )
    lowest = LOWEST_DRIVER.get(int(cuda.split(".")[0]), (0,))
    if has < lowest:
        return failure(
            "driver",
            f"driver {_dotted(has)} is older than {_dotted(lowest)}, which torch built for CUDA {cuda} needs",
            "update the driver, or install a torch that was built for an older CUDA",
        )
    return ok("driver", f"driver {_dotted(has)}, new enough for CUDA {cuda}")


def gpus(found: list[Gpu], usable: int, *, needed: bool) -> Check:
    """Return which GPUs there are, and whether torch can use them; `needed` makes none of them a failure."""
    if usable:
        named = ", ".join(f"{gpu.name} with {gpu.memory_mib / 1024:.0f} GiB" for gpu in found)
        return ok("gpus", f"torch can use {usable}: {named or 'unnamed'}")
    if found:
        return failure(
            "gpus",
            f"the driver lists {len(found)} and torch can use none of them",
            "see torch and driver above; CUDA_VISIBLE_DEVICES may hide them",
        )
    words = "no GPU: trainings run on the CPU, which only small models can do"
    return failure("gpus", words, _PASSED_ON) if needed else warning("gpus", words, _PASSED_ON)


def holder(directory: Path, *, has_gpu: bool) -> Check:
    """Return who has this box's accelerators."""
    try:
        box = Box(directory, has_gpu=has_gpu)
        found = box.holder()
    except (BoxSettingError, OSError) as error:
        return failure("box", str(error), "set CUSP_BOX_LOCK to auto, always or never")
    if found is not None:
        return warning("box", f"{found} has this box", "wait for it: cusp train --wait")
    return ok("box", "nobody has this box" + ("" if box.locks else ", which is not locked here"))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
