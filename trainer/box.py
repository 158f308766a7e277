"""The box's accelerators: one lock a box, which every training and every job takes in turn.

The lock is a file in CUSP_DIR with the box's name, as boxes may share that folder, and dies with its process. It
holds across containers of one CUSP_BOX that share the volume, as they share the kernel that keeps it. A launcher
that is killed leaves its processes on the accelerators until they have saved: the box stays taken until the
lock of their run is free, too. CUSP_BOX_LOCK: `auto` (default) locks where a GPU is visible, `always`
also where none is, `never` nowhere; the processes of a training whose launcher has the lock get `never`.
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from cusp.errors import CuspError
from cusp.ids import is_id
from cusp.process import file_lock
from cusp.process.machine import host_name

SETTING = "CUSP_BOX_LOCK"
LOCKED_ABOVE: Mapping[str, str] = {SETTING: "never"}
"""Environment of child processes whose parent has the lock."""
LOOK_EVERY_S = 1.0
_CHOICES = ("auto", "always", "never")


def box_name(environment: Mapping[str, str] = os.environ) -> str:
    """Return the box's name, by which a training is sent to it: CUSP_BOX, or the host's name.

    >>> box_name({"CUSP_BOX": "l40s"})
    'l40s'
    """
    return environment.get("CUSP_BOX") or host_name() or "box"


def file_name(box: str) -> str:
    """Return a box's name as part of a file's name; other signs than of such names make it a hash.

    >>> file_name("l40s.example"), file_name("my box")
    ('l40s.example', 'my_box-2c07401c')
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", box)[:60]
    return safe if safe == box else f"{safe}-{sha256(box.encode()).hexdigest()[:8]}"


class BoxBusy(CuspError, RuntimeError):
    """Another process has the accelerators; the message says which, since when, and the way out."""


class BoxSettingError(CuspError, ValueError):
    """CUSP_BOX_LOCK has a value that means nothing."""


@dataclass(frozen=True)
class Holder:
    """Who has the box: what it does, its process id on its host, UTC seconds since 1970, the run it trains."""

    doing: str
    process: int
    host: str | None
    since: float
    run_id: str | None = None

    def __str__(self) -> str:
        """Return it as words.

        >>> str(Holder("trains tiny", 41, host_name(), 0.0))
        'process 41 (trains tiny, since 1970-01-01 00:00 UTC)'
        """
        there = "" if self.host == host_name() else f" on {self.host}"
        since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.since))
        return f"process {self.process}{there} ({self.doing}, since {since})"


class Box:
    """The accelerators of this box. `locks` says whether they are locked at all."""

    def __init__(
        self, directory: Path, *, has_gpu: bool, environment: Mapping[str, str] = os.environ
    ) -> None:
        """Raise BoxSettingError for another CUSP_BOX_LOCK than auto, always or never."""
        chosen = environment.get(SETTING) or "auto"
        if chosen not in _CHOICES:
            raise BoxSettingError(f"{SETTING} is {chosen!r}; use {', '.join(_CHOICES)}")
        self.has_gpu = has_gpu
        self.locks = chosen == "always" or (chosen == "auto" and has_gpu)
        self._directory = directory
        self._file = directory / f"box-{file_name(box_name(environment))}.lock"

    def take(self, doing: str, run_id: str | None = None) -> file_lock.Lock | None:
        """Return the lock, or None if another process has the box; without locking one that holds nothing.

        `run_id` is of the run that is trained in other processes than this one.
        """
        if not self.locks:
            return file_lock.Lock(None)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        lock = file_lock.take(self._file)
        if lock is not None and self._left_behind() is not None:
            lock.close()
            return None
        if lock is not None:
            self._sign(Holder(doing, os.getpid(), host_name(), time.time(), run_id))
        return lock

    def holder(self) -> Holder | None:
        """Return who has the box, None if nobody has."""
        if not file_lock.is_locked(self._file):
            return self._left_behind()
        return _signed(self._file) or Holder("at work", 0, None, time.time())  # taken a moment ago

    def wait(
        self, doing: str, tell: Callable[[str], None], run_id: str | None = None
    ) -> file_lock.Lock:
        """Return the lock once it is free; `tell` is called about every second with who has it."""
        while (lock := self.take(doing, run_id)) is None:
            if (holder := self.holder()) is not None:
                tell(f"waiting for this box, which {holder} has")
            time.sleep(LOOK_EVERY_S)
        return lock

    @contextlib.contextmanager
    def held(
        self,
        doing: str,
        run_id: str | None = None,
        *,
        wait: bool = False,
        say: Callable[[str], None] = print,
    ) -> Iterator[None]:
        """Hold the box in the block. BoxBusy if it is taken, or with `wait` a line for each holder waited for."""
        lock = self.take(doing, run_id)
        if lock is None and wait:
            lock = self.wait(doing, _each_once(say), run_id)
        if lock is None:
            raise BoxBusy(
                f"this box is taken by {self.holder() or 'another process'}; wait for it with --wait,"
                f" have the monitor queue the training with --submit, or set {SETTING}=never to share the box"
            )
        try:
            yield
        finally:
            lock.close()

    def _left_behind(self) -> Holder | None:
        """Return the last holder if it ended without the processes that train its run, as a killed one does."""
        last = _signed(self._file)
        if last is None or last.run_id is None or not is_id(last.run_id):
            return None
        if not file_lock.is_locked(self._directory / "runs" / last.run_id / "lock"):
            return None
        others = [each for each in self._directory.glob("box-*.lock") if each != self._file]
        goes_on = [_signed(each) for each in others if file_lock.is_locked(each)]
        return None if last.run_id in [each.run_id for each in goes_on if each] else last

    def _sign(self, holder: Holder) -> None:
        note = self._file.with_suffix(".json")
        part = note.with_suffix(f".{os.getpid()}.part")
        with contextlib.suppress(OSError):  # a full disk
            part.write_text(json.dumps(asdict(holder)), "utf-8")
            part.replace(note)


def _signed(lock: Path) -> Holder | None:
    """Return who took a lock last, None if that is not known."""
    try:
        return Holder(**json.loads(lock.with_suffix(".json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _each_once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return `say` that leaves out a line that it said last."""
    said = ""

    def tell(line: str) -> None:
        nonlocal said
        if line != said:
            said = line
            say(line)

    return tell
