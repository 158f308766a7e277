"""`cusp evaluations`: the scores of a run, and all their rows as a file."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cusp.cli.show import RunArgument
from cusp.cli.support.output import AsJson, console, dash, interval, print_json, print_table
from cusp.cli.support.run_lookup import find
from cusp.client import Client, ClientError

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}


def evaluations(
    run: RunArgument,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="FILE", help="Write all rows to this .csv, .jsonl or .parquet file."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the scores of a run's checkpoints, or write every row to a file.

    Example: cusp evaluations tiny --to rows.parquet
    """
    with Client() as client:
        run_id = find(client, run)["id"]
        if to is not None:
            return _write(client, run_id, to)
        found = client.get(f"/runs/{run_id}/evaluations")
    if as_json:
        return print_json(found)
    return _show(found)


def _write(client: Client, run_id: str, to: Path) -> None:
    kind = FORMATS.get(to.suffix)
    if kind is None:
        raise ClientError(f"{to} ends in none of {', '.join(FORMATS)}, which say the format")
    size = client.download(f"/runs/{run_id}/evaluations/export", to, format=kind)
    console().print(f"{to}: {size:,} bytes", markup=False)


def _show(found: dict[str, Any]) -> None:
    rows = [
        (
            str(one["step"]),
            one["task"],
            one["split"],
            interval(one),
            str(one["n_problems"]),
            dash(one["preset"]),
            one["source"],
        )
        for one in found["evaluations"]
    ]
    if not rows:
        return console().print("No scores yet; `cusp evaluate` makes them, or imports a file.")
    columns = ["step", "task", "set", "pass@1", "problems", "judge", "source"]
    print_table("Scores", columns, rows, give_up=["set", "source", "judge"])
    if found["comparison"]:
        console().print(found["comparison"]["reason"], markup=False)
    return None
