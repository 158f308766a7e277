"""Secrets as files: NAME_FILE names a file that holds what NAME would, so that it stands in no environment."""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from cusp.errors import CuspError


class SecretUnreadable(CuspError, ValueError):
    """The file of a secret cannot be read; the message names the variable and the file."""


def secret(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the secret, from its variable or else its file; None where neither says anything.

    >>> secret("CUSP_TOKEN", {"CUSP_TOKEN": "given"})
    'given'
    """
    if environment.get(name):
        return environment[name]
    file = environment.get(f"{name}_FILE")
    if not file:
        return None
    try:
        return Path(file).read_text("utf-8").strip() or None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SecretUnreadable(
            f"{name}_FILE is {file!r}, which cannot be read ({why}); name a file that holds the secret"
        ) from error


def give_to_libraries(name: str, environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the variable from its file, for libraries that read only the variable."""
    if found := secret(name, environment):
        environment[name] = found
