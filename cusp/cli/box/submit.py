"""`cusp train --submit`: a new training that a worker on some box does, followed with `--wait`."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from cusp.cli.support.output import console, print_json
from cusp.client import Client
from cusp.errors import CuspError

LOOK_EVERY_S = 1.0


class TrainingNotDone(CuspError, RuntimeError):
    """The submitted training failed; the message says why."""

    status = 1


def submit(
    recipe: str | None,
    overrides: Sequence[str],
    *,
    box: str | None,
    processes: int | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Ask the monitor for the training; with `wait` follow it to its end.

    Raises ClientError for what the monitor refuses, TrainingNotDone for a training that failed.
    """
    if recipe is None:
        raise CuspError("no recipe given: name one that a worker has, such as `tiny`")
    body = {"recipe": recipe, "overrides": list(overrides), "box": box, "processes": processes}
    say = _nothing if as_json else console().print
    with Client() as client:
        training = client.post("/trainings", body)
        where = f"a worker on {box}" if box else "the next free worker"
        say(
            f"training {recipe} is {training['state']} as job {training['id']} for {where};"
            f" its run will be {client.page_url}/runs/{training['run_id']}"
        )
        if wait:
            training = _followed(client, training, say)
    if as_json:
        print_json(training)
    if training["state"] == "failed":
        raise TrainingNotDone(str(training["error"]))


def _followed(client: Client, training: dict[str, Any], say: Callable[[str], None]) -> Any:
    """Return the training once it has ended; each change is a line."""
    said = ""
    while training["state"] in ("queued", "leased"):
        if (line := progress_line(training)) != said:
            said = line
            say(line)
        time.sleep(LOOK_EVERY_S)
        training = client.get(f"/trainings/{training['id']}")
    run = training["run"] or {}
    say(f"{training['state']}: run {training['run_id']} {run.get('status', 'never began')}")
    return training


def progress_line(training: dict[str, Any]) -> str:
    """Return how far the training is.

    >>> progress_line({"state": "queued", "worker": None, "progress": None})
    'waiting for a worker'
    >>> told = {"done": 3, "total": 60, "text": "training"}
    >>> progress_line({"state": "leased", "worker": "l40s-7", "progress": told})
    'l40s-7: training, 3 of 60'
    """
    if training["state"] == "queued":
        return "waiting for a worker"
    told = training["progress"] or {"text": "starting", "done": 0, "total": 0}
    far = f", {told['done']} of {told['total']}" if told["total"] else ""
    return f"{training['worker']}: {told['text']}{far}"


def _nothing(_: str) -> None:
    """Say nothing: only the JSON document is printed."""
