"""The environment variables of the client, read in one place."""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

from cusp.errors import CuspError
from cusp.process.machine import NoFolder, data_folder
from cusp.process.secret_files import secret

log = logging.getLogger("cusp")

DEFAULT_URL = "http://127.0.0.1:8787"
Mode = Literal["online", "offline", "disabled"]
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:I?B)?|B)?", re.IGNORECASE)


class SettingsError(CuspError, ValueError):
    """An environment variable has a value that means nothing."""


@dataclass(frozen=True)
class Settings:
    """Where the monitor is and how the client behaves. `directory` is absolute.

    `public_url` is where a browser finds the monitor, if that is not where this process does.
    """

    url: str = DEFAULT_URL
    token: str | None = None
    project: str = "default"
    run_name: str | None = None
    run_id: str | None = None
    mode: Mode = "online"
    directory: Path = field(default_factory=data_folder)
    gpu_hourly_usd: float | None = None
    disk_budget: int | None = None
    silent: bool = False
    public_url: str | None = None

    @property
    def page_url(self) -> str:
        """What a person opens."""
        return self.public_url or self.url


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings named in the environment; SettingsError names a bad value and the way out.

    >>> from_environment({"CUSP_PROJECT": "tina"}).project
    'tina'
    """

    def text(name: str) -> str | None:
        return environment.get(name) or None

    mode = _mode(text("CUSP_MODE") or "online")
    try:
        directory = data_folder(environment)
    except NoFolder as error:
        if text("CUSP_DIR"):
            raise SettingsError(str(error)) from error
        if mode != "disabled":
            log.warning("Cusp records nothing: %s", error)
        mode, directory = "disabled", Path(os.devnull)
    return Settings(
        url=_url(text("CUSP_URL")) or DEFAULT_URL,
        token=_token(secret("CUSP_TOKEN", environment)),
        project=text("CUSP_PROJECT") or "default",
        run_name=text("CUSP_RUN_NAME"),
        run_id=text("CUSP_RUN_ID"),
        mode=mode,
        directory=directory,
        gpu_hourly_usd=_price(text("CUSP_GPU_HOURLY_USD")),
        disk_budget=_budget(text("CUSP_DISK_BUDGET")),
        silent=silent(environment),
        public_url=public_url(environment),
    )


def silent(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether CUSP_SILENT is on; whatever the other settings are, as it is asked at every line."""
    return _yes(environment.get("CUSP_SILENT") or "0")


def public_url(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return where a browser finds the monitor, if CUSP_PUBLIC_URL says so."""
    return _url(environment.get("CUSP_PUBLIC_URL") or None, "CUSP_PUBLIC_URL")


def _url(value: str | None, name: str = "CUSP_URL") -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        usable = usable and value.isprintable() and " " not in value
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(f"{name} is {value!r}; use a URL like http://monitor:8787")
    return value.rstrip("/")


def _token(value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable()):
        raise SettingsError("CUSP_TOKEN holds characters that no token has; copy it again")
    return value


def _mode(value: str) -> Mode:
    for mode in get_args(Mode):
        if value == mode:
            return cast(Mode, mode)
    raise SettingsError(f"CUSP_MODE is {value!r}; use online, offline or disabled")


def _yes(value: str) -> bool:
    """Return whether a switch is on: whatever says neither 0 nor no.

    >>> _yes("1"), _yes("False")
    (True, False)
    """
    return value.strip().lower() not in ("", "0", "false", "no", "off")


def _budget(value: str | None) -> int | None:
    """Return a size in bytes; K, M, G, T are powers of 1,024.

    >>> _budget("20GiB") == _budget("20 G") == 20 << 30, _budget("1.5k")
    (True, 1536)
    """
    if value is None:
        return None
    found = _SIZE.fullmatch(value.strip())
    shift = 10 * (" KMGT".index((found[2] or " ").upper())) if found else 0
    size = int(float(found[1]) * (1 << shift)) if found else 0
    if size <= 0:
        raise SettingsError(f"CUSP_DISK_BUDGET is {value!r}; use a size like 50GiB")
    return size


def _price(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        price = float(value)
    except ValueError:
        price = -1.0
    if not 0 <= price < float("inf"):
        raise SettingsError(f"CUSP_GPU_HOURLY_USD is {value!r}; use US dollars an hour, like 1.20")
    return price
