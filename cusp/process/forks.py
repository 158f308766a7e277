"""Fork safety: a forked child must not use its parent's run, threads or file descriptors.

A child (a pool of reward functions, a DataLoader's worker, `os.fork`) has copies of the parent's objects and
descriptors, and none of its threads. Ownership is checked by process id; the descriptors are closed in the
child, so that a child that outlives its parent holds none of its locks.
"""

import os
import weakref
from typing import Protocol


class Disowned(Protocol):
    """An object that belongs to one process."""

    def disown(self) -> None:
        """Release the parent's resources in a forked child. Takes no lock and never blocks."""


_here: "weakref.WeakSet[Disowned]" = weakref.WeakSet()


def disown_in_children(thing: Disowned) -> None:
    """Call `thing.disown()` in every child that is forked from now on."""
    _here.add(thing)


def _in_child() -> None:
    for thing in list(_here):
        thing.disown()
    _here.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
