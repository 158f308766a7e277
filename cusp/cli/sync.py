"""`cusp sync`: ships the spools that offline runs and crashed trainings left behind."""

from pathlib import Path

import typer

from cusp import settings
from cusp.cli.support.output import AsJson, console, print_json
from cusp.transport.attempt import Attempt, load_leftover
from cusp.transport.sender import TIMEOUT_S, Sender


def sync(as_json: AsJson = False) -> None:
    """Ship what trainings left on disk while no monitor was up.

    Example: CUSP_URL=http://monitor:8787 cusp sync
    """
    config = settings.from_environment()
    sent, waiting = 0, 0
    for folder in sorted(config.directory.glob("runs/*/attempts/*")):
        # Check the lock first: opening the spool of a live process would truncate its last line.
        attempt = None if _in_use(folder) else load_leftover(folder)
        if attempt is None:
            continue
        pending = attempt.spool.pending()
        taken, refused = _ship(config, attempt)
        sent, waiting = sent + taken, waiting + pending - taken
        if not taken and not refused:  # a refused (deleted or purged) run must not block the others
            break  # the monitor is unreachable; the next attempt would wait as long in vain
    if as_json:
        print_json({"sent": sent, "waiting": waiting})
    else:
        console().print(f"{sent} messages sent, {waiting} still waiting")
    if waiting:
        raise typer.Exit(1)


def _ship(config: settings.Settings, attempt: Attempt) -> tuple[int, bool]:
    """Return the number of messages accepted, and whether the monitor refused the run."""
    before = attempt.spool.acked
    sender = Sender(config.url, config.token, attempt)
    while sender.drain(1.0) is False and sender.failures == 0:
        pass
    sender.close(2 * TIMEOUT_S)  # release the lock only after the thread has left the spool
    attempt.close()
    return attempt.spool.acked - before, sender.refused


def _in_use(folder: Path) -> bool:
    from cusp.process.file_lock import is_locked

    return is_locked(folder / "lock")
