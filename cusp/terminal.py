"""Messages to the user in the training's terminal or notebook: a few lines on standard output.

Not through `logging`, which prints no INFO in a plain script. CUSP_SILENT=1 turns them off.
"""

import contextlib
import sys
from collections.abc import Mapping
from typing import Any, TextIO
from urllib.parse import urlsplit, urlunsplit

from cusp import settings
from cusp.client import Client, ClientError
from cusp.protocol.messages import Command
from cusp.protocol.run import RunMetadata
from cusp.roles.assign import assign, describe
from cusp.run import Run
from cusp.run_config import RECIPE_FILE

WORDS_TIMEOUT_S = 3.0


def say(*lines: str, out: TextIO | None = None) -> None:
    """Print lines (default: on standard output) without breaking a progress bar of the training."""
    out = out or sys.stdout
    if settings.silent() or out is None:
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or half a stream
        for line in lines:
            _print(f"cusp: {line}", out)


def begun(run: Run, out: TextIO | None = None) -> None:
    """Print the address of the run's page."""
    if run.settings.mode == "offline":
        say(f"{run.name} is recorded in {run.home}; `cusp sync` ships it to a monitor.", out=out)
    elif run.settings.mode == "online":
        say(f"watching {run.name} at {shown(run.url)}", out=out)


def roles_seen(logs: Mapping[str, object], metadata: RunMetadata) -> None:
    """Print the role of each logged key, and the missing roles."""
    # None: a reward function that gave none in this step, as TRL logs it; it has its role once it does.
    keys = [name for name, value in logs.items() if value is None or isinstance(value, int | float)]
    say(*describe(assign(keys, metadata.roles, metadata.reward_weights)))


def stopped(run: Run, command: Command, step: int, max_steps: int) -> None:
    """Print why the training was stopped, the kept checkpoint, and how to promote it or go on."""
    reached = f"step {step} of {max_steps}" if max_steps > step else f"step {step}"
    why = command.reason.rstrip(".") or "asked for at the monitor"
    lines = [f"stopped {run.name} at {reached}: {why}."]
    if (kept := run.kept) is not None:
        lines += [
            f"  kept     step {kept.step} in {kept.path}",
            f"  promote  {_address(run)}cusp promote {run.id} {kept.step}",
        ]
    else:
        lines += ["  kept     nothing: no checkpoint was saved"]
    say(*lines, f"  go on    {_go_on(run)}", f"  page     {shown(run.url)}")


def ended(run: Run, step: int, max_steps: int, *, sent: bool) -> None:
    """Print the result of a training that was not stopped by Cusp."""
    reached = f"step {step} of {max_steps}" if max_steps > step else f"step {step}"
    kept = run.kept
    keeping = (
        f"Kept: step {kept.step} in {kept.path}" if kept else "Nothing was stopped, none was kept"
    )
    words = _words(run) if sent and run.settings.mode == "online" else ""
    say(f"{run.name} ended at {reached}. {words}{keeping}.")


def shown(url: str) -> str:
    """Return a URL without user name and password, for printing.

    >>> shown("http://me:secret@monitor:8787/runs/1")
    'http://monitor:8787/runs/1'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _go_on(run: Run) -> str:
    if (run.root / RECIPE_FILE).is_file():
        return f"{_address(run)}cusp resume {run.id}"
    last = run.last_checkpoint
    start = f'trainer.train(resume_from_checkpoint="{last.path}")' if last else "trainer.train()"
    return f"CUSP_RUN_ID={run.id} in the environment and {start}"


def _address(run: Run) -> str:
    """Return the setting that a `cusp` command needs to reach this monitor, with a trailing space, or ""."""
    url = shown(run.settings.url)
    return "" if url == settings.DEFAULT_URL else f"CUSP_URL={url} "


def _words(run: Run) -> str:
    """Return the monitor's summary of the run, or "" if it cannot be read."""
    try:
        with Client(run.settings, timeout_s=WORDS_TIMEOUT_S) as client:
            words = str(client.get(f"/runs/{run.id}").get("words") or "")
    except (ClientError, ValueError):  # ValueError: the answer is not JSON
        return ""
    return f"{words.rstrip('.')}. " if words else ""


def _print(line: str, out: TextIO) -> None:
    tqdm: Any = sys.modules.get("tqdm")
    if tqdm is not None and hasattr(tqdm, "tqdm"):
        tqdm.tqdm.write(line, file=out)
        out.flush()
    else:
        print(line, file=out, flush=True)
