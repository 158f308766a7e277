"""Command lines and environment for starting this installation's programs as child processes."""

import os
import sys
from collections.abc import Mapping


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this installation.

    With `-P`: a `monitor.py` or `trainer.py` in the working folder is somebody else's.
    """
    return [sys.executable, "-P", "-m", name, *arguments]


def environment(*more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with `more`, with which grandchildren are protected, too."""
    found = {**os.environ, "PYTHONSAFEPATH": "1"}
    for each in more:
        found |= each
    return found


def forget_the_working_folder() -> None:
    """Remove the working folder, which `python -m` adds, from `sys.path` unless we are installed there."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if sys.flags.safe_path or not sys.path or os.path.abspath(sys.path[0] or ".") == here:
        return
    del sys.path[0]
