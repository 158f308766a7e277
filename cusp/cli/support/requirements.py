"""Checks before a command starts that the packages of its extras are installed."""

from collections.abc import Mapping
from importlib.util import find_spec

from cusp.errors import CuspError
from cusp.process.installed import pip_install

# Modules imported from each extra of pyproject.toml; a test compares the two.
IMPORTED: Mapping[str, tuple[str, ...]] = {
    "monitor": (
        "fastapi",
        "uvicorn",
        "sqlalchemy",
        "alembic",
        "psycopg",
        "numpy",
        "scipy",
        "ruptures",
        "plotly",
        "jinja2",
        "fastapi_offline",
        "prometheus_client",
        "itsdangerous",
        "httpcore",
        "standardwebhooks",
    ),
    "trainer": (
        "torch",
        "transformers",
        "trl",
        "peft",
        "accelerate",
        "datasets",
        "math_verify",
        "ruamel.yaml",
        "pebble",
        "numpy",
        "scipy",
    ),
}


class MissingPackages(CuspError, ImportError):
    """Packages of an extra are not installed; the message says how to install them."""


def need(command: str, *extras: str) -> None:
    """Raise MissingPackages, with what to install, unless every package of the extras is there."""
    missing = [name for extra in extras for name in IMPORTED[extra] if not _is_there(name)]
    if not missing:
        return
    lacking = [extra for extra in extras if any(name in missing for name in IMPORTED[extra])]
    more = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
    raise MissingPackages(
        f"`cusp {command}` needs packages that are not installed ({missing[0]}{more} missing);"
        f" install them with {pip_install(*lacking)}"
    )


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the package that `name` is a part of is missing itself
        return False
