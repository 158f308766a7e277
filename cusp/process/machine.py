"""This machine's default data folder and host name.

Looked up on demand, never at import: a container may have no home, no entry for the user id, or a home
that is not writable.
"""

import logging
import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from cusp.errors import CuspError

log = logging.getLogger("cusp")
_said = False


class NoFolder(CuspError, ValueError):
    """The folder for the data cannot be named or used; the message says what to set."""


def data_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the absolute data folder: CUSP_DIR, or the first writable default.

    Defaults: `~/.cusp` if it exists, the platform's data folder, a folder of this user below the temporary
    one. NoFolder for an invalid CUSP_DIR.
    """
    named = environment.get("CUSP_DIR")
    if named:
        return absolute(named, "CUSP_DIR")
    usual = (folder for folder in _usual(environment) if can_write(folder))
    return next(usual, None) or _temporary()


def absolute(named: str | os.PathLike[str], setting: str) -> Path:
    """Return the folder that a setting names, absolute and with `~` expanded; NoFolder if that fails."""
    try:
        folder = Path(named).expanduser()
        if "\0" in str(folder):
            raise ValueError("it holds a NUL character")
        return folder.absolute()
    except (RuntimeError, ValueError, OSError) as error:
        raise NoFolder(
            f"{setting} is {os.fspath(named)!r}, which names no folder here ({error});"
            " use an absolute path like /data/cusp"
        ) from error


def usable(folder: Path) -> Path:
    """Return the folder, created if necessary; NoFolder with the way out if it is not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))  # a full disk still allows an empty file
            file.flush()
            return folder
    except OSError as error:
        raise NoFolder(
            f"nothing can be written in {folder} ({error.strerror});"
            " set CUSP_DIR to a folder that you may write in"
        ) from error


def can_write(folder: Path) -> bool:
    """Return whether the folder, created if necessary, is writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK | os.X_OK)
    except (OSError, ValueError):
        return False


def host_name() -> str | None:
    """Return this machine's host name as text that any database can store, or None."""
    try:
        name = socket.gethostname()
    except OSError:
        return None
    return "".join(one for one in _readable(name) if one.isprintable())[:200] or None


def _readable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _usual(environment: Mapping[str, str]) -> list[Path]:
    try:
        home = Path(environment["HOME"]) if environment.get("HOME") else Path.home()
    except RuntimeError:  # no HOME, and the user id has no entry
        return []
    if not home.is_absolute():
        return []
    old = home / ".cusp"
    try:
        if old.is_dir():
            return [old]
    except OSError:
        return []
    folder = Path(platformdirs.user_data_dir("cusp", appauthor=False))
    return [folder] if folder.is_absolute() else []


def _temporary() -> Path:
    """Return this user's folder below the temporary one, the last resort; logs a warning once."""
    global _said
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    try:
        folder = Path(tempfile.gettempdir()).absolute() / f"cusp-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
            folder = Path(tempfile.mkdtemp(prefix="cusp-"))  # somebody else took the name
    except OSError:
        raise NoFolder(
            "there is no folder that may be written in: neither a home nor one for temporary files;"
            " set CUSP_DIR to one"
        ) from None
    if not _said:
        _said = True
        log.warning(
            "Cusp keeps its data in %s, as no home folder can be written in; set CUSP_DIR to keep them.",
            folder,
        )
    return folder
