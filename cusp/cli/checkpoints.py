"""`cusp promote`, `cusp pin`, `cusp check`: checkpoints on this box are hashed before they are reported."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from cusp import settings
from cusp.checkpoints import location
from cusp.checkpoints.location import Finding
from cusp.cli.show import RunArgument, checkpoint_of
from cusp.cli.support.output import AsJson, console, print_json, print_table
from cusp.cli.support.run_lookup import find
from cusp.client import Client, ClientError
from cusp.ids import is_id

LOOK_EVERY_S = 0.25


def promote(
    run: RunArgument,
    step: Annotated[int, typer.Argument(help="Step of the checkpoint.")],
    alias: Annotated[str, typer.Option(help="Alias to move.")] = "production",
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the box that holds it.")
    ] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Point an alias at the checkpoint of a step, once its files are what was registered.

    On the box that holds them they are hashed here; elsewhere its trainer or worker is asked.
    Example: cusp promote tiny 40
    """
    with Client() as client:
        checkpoint = checkpoint_of(client, find(client, run), step)
        checked_here(client, checkpoint)
        answer = client.post(f"/checkpoints/{checkpoint['id']}/promote", {"alias": alias})
        now = _awaited(client, checkpoint, wait)
    answer["verified"] = now.get("verified", False)
    if as_json:
        return print_json({**answer, "state": now["state"], "path": now["path"]})
    if now["state"] in ("missing", "corrupt"):
        raise ClientError(
            f"{alias} points at step {step}, but the box that holds it says that it is {now['state']};"
            " promote another one"
        )
    words = (
        f"its files were hashed on the box and are what was registered ({now['path']})"
        if answer["verified"]
        else "not verified: the box did not answer; `cusp worker`, or this command there, verifies it"
    )
    console().print(f"{alias} now points at step {step}; {words}")
    return None


def pin(
    run: RunArgument,
    step: Annotated[int, typer.Argument(help="Step of the checkpoint.")],
    as_json: AsJson = False,
) -> None:
    """Give the checkpoint of a step a place of its own, here or by asking the trainer.

    Example: cusp pin tiny 40
    """
    with Client() as client:
        checkpoint = checkpoint_of(client, find(client, run), step)
        found = checked_here(client, checkpoint)
        if found is not None and found.state == "pinned":
            if as_json:
                return print_json({**found.report, "folder": str(found.place)})
            return console().print(f"step {step} is kept in {found.place}")
        command = client.post(f"/checkpoints/{checkpoint['id']}/pin")
    if as_json:
        return print_json(command)
    return console().print(f"pinning step {step} is {command['state']}")


def check(
    run: Annotated[
        str | None, typer.Argument(help="A run (default: every run trained on this box).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hash the checkpoints on this box and tell the monitor which are missing or changed.

    Ends with 1 when one is. Example: cusp check tiny
    """
    rows: list[dict[str, Any]] = []
    with Client() as client:
        chosen = [find(client, run)["id"]] if run else _runs_here(settings.from_environment())
        for run_id in chosen:
            for one in _checkpoints(client, run_id, must_exist=run is not None):
                if one["state"] == "missing":
                    continue
                found = _looked_at(client, one, keep=bool(one["aliases"] or one["pinned"]))
                if found is not None:
                    place = str(found.place) if found.place else found.words
                    rows.append(
                        {**found.report, "run_id": run_id, "step": one["step"], "found": place}
                    )
    if as_json:
        print_json({"checkpoints": rows})
    elif not rows:
        console().print("no checkpoint that the monitor knows of lies on this box")
    else:
        shown = [[r["run_id"], str(r["step"]), r["state"], r["found"]] for r in rows]
        print_table(
            "checkpoints on this box", ["run", "step", "state", "where, or what is wrong"], shown
        )
    if any(row["state"] in ("missing", "corrupt") for row in rows):
        raise typer.Exit(1)


def checked_here(
    client: Client, checkpoint: dict[str, Any], *, keep: bool = True
) -> Finding | None:
    """Hash, pin (`keep`) and report a checkpoint of this box; None when it is on another box.

    ClientError when it is missing or corrupt.
    """
    found = _looked_at(client, checkpoint, keep=keep)
    # A live training, or another box, reports its own checkpoints.
    if found is not None and found.place is None and found.sure:
        raise ClientError(f"{found.words}; choose another checkpoint (`cusp show` lists them)")
    return found if found is not None and found.place is not None else None


def _looked_at(client: Client, registered: dict[str, Any], *, keep: bool) -> Finding | None:
    directory = settings.from_environment().directory
    try:
        found = location.look(directory, registered["run_id"], registered, keep=keep)
    except OSError as error:
        raise ClientError(
            f"the checkpoint of step {registered['step']} cannot be kept: {error.strerror or error}"
            f" ({error.filename or directory}); make room, or permit it"
        ) from error
    if found is not None and found.sure:
        client.post(f"/checkpoints/{registered['id']}/check", found.report)
    return found


def _awaited(client: Client, checkpoint: dict[str, Any], wait_s: float) -> dict[str, Any]:
    """Return the checkpoint once its box has reported, or its state after `wait_s` seconds."""
    until = time.monotonic() + wait_s
    while True:
        known = client.get(f"/runs/{checkpoint['run_id']}/checkpoints")["checkpoints"]
        now = next((dict(one) for one in known if one["id"] == checkpoint["id"]), checkpoint)
        if (
            now.get("verified")
            or now["state"] in ("missing", "corrupt")
            or time.monotonic() >= until
        ):
            return now
        time.sleep(LOOK_EVERY_S)


def _runs_here(config: settings.Settings) -> list[str]:
    folders: list[Path] = sorted((config.directory / "runs").glob("*"))
    return [folder.name for folder in folders if is_id(folder.name)]


def _checkpoints(client: Client, run_id: str, *, must_exist: bool) -> list[dict[str, Any]]:
    try:
        return list(client.get(f"/runs/{run_id}/checkpoints")["checkpoints"])
    except ClientError:
        if must_exist:
            raise
        return []  # a run of another monitor, or deleted
