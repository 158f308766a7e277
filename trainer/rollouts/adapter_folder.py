"""Folders of the adapter on its way to vLLM: a new one for each synchronisation, the former ones removed.

vLLM reads an adapter from a folder only, keys its prefix cache on the adapter's name (vllm #42125) and may read
the folder late. So a name is used once, and a folder stays until the next one is in use.
"""

import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PREFIX = "cusp-rollouts-"
MEMORY = Path("/dev/shm")  # tmpfs of Linux: an adapter is written without a disk


class AdapterFolders:
    """Numbered folders below one, which are this process's own or, for a server, those of the first process."""

    def __init__(self, parent: Path | None = None) -> None:
        if parent is None and MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
            parent = MEMORY
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
        self.path.chmod(0o755)  # a server may run as another user
        self.number = 0
        # Also where the training ends by an exception.
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def next(self) -> Path:
        """Return the folder of the next adapter; `number` is its number from 1."""
        self.number += 1
        return self.path / f"{self.path.name.removeprefix(PREFIX)}-{self.number}"

    def remove(self, folders: Sequence[Path]) -> None:
        """Remove adapters that nothing reads any more."""
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        self._finalizer()


def write_adapter(model: Any, gathered: Any, device: Any, folder: Path, *, writes: bool) -> None:
    """Write the active adapter of a PEFT model into a folder, which appears whole.

    Every process must call it: parts of a sharded parameter are gathered (`gathered` makes the context in which
    parameters are whole). `writes` says whether this one writes.
    """
    from trl.experimental.async_grpo.async_grpo_trainer import save_lora_adapter

    (name,) = model.active_adapters
    parameters = [value for key, value in model.named_parameters() if ".lora_" in key]
    place = SimpleNamespace(device=device, is_main_process=writes)
    with gathered(parameters):
        save_lora_adapter(model, place, name, str(folder))
