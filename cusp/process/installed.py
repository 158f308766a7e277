"""Where this Cusp was installed from, so that a sentence names a `pip install` that works."""

import json
from functools import cache
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

NAME = "cusp-rl"


def pip_install(*extras: str) -> str:
    """Return the command that adds these extras to this installation.

    >>> pip_install("monitor").startswith("pip install ")
    True
    """
    return command(_origin(), *extras)


def command(origin: str | None, *extras: str) -> str:
    """Return `pip install` with extras for a package whose `direct_url.json` (PEP 610) is `origin`.

    None, or a folder or file that is gone: the name alone, for a package index.

    >>> command(None, "trainer", "vllm")
    "pip install 'cusp-rl[trainer,vllm]'"
    >>> command('{"url": "https://example.org/cusp.git", "vcs_info": {"vcs": "git", "commit_id": "ab12"}}', "monitor")
    "pip install 'cusp-rl[monitor] @ git+https://example.org/cusp.git@ab12'"
    """
    wanted = f"[{','.join(extras)}]"
    try:
        told = json.loads(origin or "{}")
        url = str(told["url"])
        where = Path(url2pathname(urlsplit(url).path)) if url.startswith("file:") else None
        if where is not None and not where.exists():
            raise KeyError(url)
        if vcs := told.get("vcs_info"):
            return f"pip install '{NAME}{wanted} @ {vcs['vcs']}+{url}@{vcs['commit_id']}'"
        if where is None or "dir_info" not in told:
            return f"pip install '{NAME}{wanted} @ {url}'"
        editable = "-e " if told["dir_info"].get("editable") else ""
        return f"pip install {editable}'{where}{wanted}'"
    except (KeyError, TypeError, AttributeError, ValueError):
        return f"pip install '{NAME}{wanted}'"


@cache
def _origin() -> str | None:
    try:
        return metadata.distribution(NAME).read_text("direct_url.json")
    except (metadata.PackageNotFoundError, OSError, ValueError):
        return None
