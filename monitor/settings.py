"""The monitor's settings: environment variables, overridden by `cusp serve`'s options."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass

from cusp.errors import CuspError
from cusp.process.machine import data_folder
from cusp.process.secret_files import secret
from monitor.path_prefix import BadPrefix, prefix_of
from monitor.webhooks.ssrf import Network, allowed_networks

DEFAULT_PORT = 8787


class ConfigError(CuspError, ValueError):
    """The monitor refuses to start like this; the message says what to change."""


@dataclass(frozen=True)
class MonitorConfig:
    """Where the monitor listens and keeps its data. `database_url` may be a path (SQLite).

    `rate_per_s`: requests a second of one token from one address, 0 for no limit.
    `webhook_allow`: networks beside the public ones that webhooks may reach. `deleted_days`: how long a
    deleted run can be restored. `keep_days`: ended runs older than this are deleted; None keeps all.
    `root_path`: the prefix that a proxy puts before the monitor's paths, like `/cusp`; empty for none.
    """

    database_url: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = None
    lost_after_s: float = 60.0
    body_limit_bytes: int = 8 << 20
    series_limit: int = 2_000
    rate_per_s: float = 1_000.0
    webhook_allow: tuple[Network, ...] = ()
    deleted_days: float = 30.0
    keep_days: float | None = None
    root_path: str = ""


def from_environment(environment: Mapping[str, str] = os.environ) -> MonitorConfig:
    """Return the configuration named in the environment; ConfigError beyond loopback without a token.

    >>> from_environment({"CUSP_DIR": "/data"}).database_url
    '/data/cusp.db'
    """
    return checked(
        MonitorConfig(
            database_url=database_url(environment),
            host=environment.get("CUSP_HOST") or "127.0.0.1",
            port=_port(environment.get("CUSP_PORT") or str(DEFAULT_PORT)),
            token=secret("CUSP_TOKEN", environment),
            rate_per_s=_rate(environment.get("CUSP_RATE_LIMIT")),
            webhook_allow=_networks(environment.get("CUSP_WEBHOOK_ALLOW") or ""),
            deleted_days=_days("CUSP_DELETED_DAYS", environment.get("CUSP_DELETED_DAYS")) or 30.0,
            keep_days=_days("CUSP_KEEP_DAYS", environment.get("CUSP_KEEP_DAYS")),
            root_path=_root_path(environment.get("CUSP_ROOT_PATH") or ""),
        )
    )


def database_url(environment: Mapping[str, str] = os.environ) -> str:
    """Return where the database is: CUSP_DATABASE_URL, or a file in the data folder."""
    return environment.get("CUSP_DATABASE_URL") or str(data_folder(environment) / "cusp.db")


def checked(config: MonitorConfig) -> MonitorConfig:
    """Return the configuration, or raise ConfigError when it would serve strangers."""
    if not is_loopback(config.host) and not config.token:
        raise ConfigError(
            f"the monitor would listen on {config.host} without a token, open to everybody who reaches"
            " this machine; set CUSP_TOKEN, or use --host 127.0.0.1"
        )
    if config.token is not None and len(config.token) < 16:
        raise ConfigError(
            "CUSP_TOKEN has fewer than 16 characters; make one with"
            " `python -c 'import secrets; print(secrets.token_urlsafe(32))'`"
        )
    return config


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server bound to `host`.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _port(value: str) -> int:
    if value.isascii() and value.isdecimal() and 0 <= int(value[:9]) < 65_536:
        return int(value[:9])
    if "://" in value:  # Kubernetes puts the address of a service named `cusp` there
        raise ConfigError(
            f"CUSP_PORT is {value!r}, which a container platform has put there; give --port 8787"
        )
    raise ConfigError(f"CUSP_PORT is {value!r}; use a number from 0 (any free port) to 65535")


def _root_path(value: str) -> str:
    try:
        return prefix_of(value)
    except BadPrefix as error:
        raise ConfigError(f"CUSP_ROOT_PATH: {error}") from None


def _rate(value: str | None) -> float:
    """Return requests a second; ConfigError for anything but a number from 0."""
    if not value:
        return MonitorConfig.rate_per_s
    try:
        rate_per_s = float(value)
    except ValueError:
        rate_per_s = -1.0
    if not 0 <= rate_per_s < 1e9:
        raise ConfigError(
            f"CUSP_RATE_LIMIT is {value!r}; use requests a second, like 1000, or 0 for no limit"
        )
    return rate_per_s


def _networks(value: str) -> tuple[Network, ...]:
    try:
        return allowed_networks(value)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _days(name: str, value: str | None) -> float | None:
    """Return a number of days, or None where none is named; ConfigError for anything else."""
    if not value:
        return None
    try:
        days = float(value)
    except ValueError:
        days = 0.0
    if not 0 < days < 36_525:
        raise ConfigError(f"{name} is {value!r}; use a number of days above 0, like 30")
    return days
