"""Secrets as files: NAME_FILE names a file that holds what NAME would, so that it stands in no environment."""

import os
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from cusp.errors import CuspError

# A word of the variable's name: VLLM_API_KEY, CUSP_TOKEN_FILE and not TOKENIZERS_PARALLELISM.
_SECRET = re.compile(
    r"(^|_)(\w*TOKEN|\w*KEY|SECRETS?|PASSW(OR)?D|CREDENTIALS?|DSN|DATABASE_URL)(_|$)", re.IGNORECASE
)


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


def without_secrets(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for a process that reads hostile text: all variables but those named as a secret.

    >>> without_secrets({"HF_TOKEN": "a", "CUSP_TOKEN_FILE": "b", "AWS_SECRET_ACCESS_KEY": "c", "HOME": "d"})
    {'HOME': 'd'}
    """
    return {name: value for name, value in environment.items() if not _SECRET.search(name)}
