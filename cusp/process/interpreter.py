"""How this installation's programs are started as processes of their own."""

import os
import sys
from collections.abc import Mapping


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this installation.

    With `-P`: a `monitor.py` or `trainer.py` in the working folder is somebody else's.
    """
    return [sys.executable, "-P", "-m", name, *arguments]


def environment(*more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with what is added, in which children's children are safe too."""
    found = {**os.environ, "PYTHONSAFEPATH": "1"}
    for each in more:
        found |= each
    return found


def forget_the_working_folder() -> None:
    """Take out of the import path what `python -m` puts there, unless this installation lies there."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if sys.flags.safe_path or not sys.path or os.path.abspath(sys.path[0] or ".") == here:
        return
    del sys.path[0]
