"""Folders of the adapter on its way to vLLM: a new one for each synchronisation, the former ones removed.

vLLM reads an adapter from a folder only, keys its prefix cache on the adapter's name (vllm #42125) and may read
the folder late. So a name is used once, and a folder stays until the next one is in use. Those of a killed
training, which fill the memory, go at the start of the next one: nobody holds their lock.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PREFIX = "cusp-rollouts-"
NEW_S = 60.0  # between its making and its lock a folder is nobody's
MEMORY = Path("/dev/shm")  # tmpfs of Linux: an adapter is written without a disk


class AdapterFolders:
    """Numbered folders below one, which are this process's own or, for a server, those of the first process."""

    def __init__(self, parent: Path | None = None) -> None:
        if parent is None and MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
            parent = MEMORY
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        remove_left_behind(parent or Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
        self.path.chmod(0o755)  # a server may run as another user
        # Of the open folder: it ends with the process, however that ends, and holds across containers.
        self._lock = os.open(self.path, os.O_RDONLY)
        with contextlib.suppress(OSError):  # NFS locks no folder, and none is removed there
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.number = 0
        # Also where the training ends by an exception.
        self._finalizer = weakref.finalize(self, _end, self.path, self._lock)

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


def remove_left_behind(parent: Path) -> None:
    """Remove the folders of this user below `parent` whose process is gone."""
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            state = os.fstat(lock)
            if state.st_uid == os.getuid() and state.st_ctime < time.time() - NEW_S:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # it is in use
            continue
        finally:
            os.close(lock)


def _end(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)


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
