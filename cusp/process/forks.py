"""What a forked child inherits of its parent's training and must not touch.

A child (a pool of reward functions, a DataLoader's worker, `os.fork`) has copies of the parent's objects and
descriptors, and none of its threads. What a parent's object `owns` is checked by process id; the descriptors
are closed in the child, so that one that outlives its parent holds no lock of it.
"""

import os
import weakref
from typing import Protocol


class Disowned(Protocol):
    """Something that one process owns."""

    def disown(self) -> None:
        """Let go, in a child, of what belongs to its parent. Takes no lock and waits for nothing."""


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
