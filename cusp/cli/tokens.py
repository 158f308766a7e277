"""`cusp token`: creates, lists and revokes tokens over REST, with CUSP_TOKEN or the scope `admin`."""

from typing import Annotated

import typer

from cusp.cli.support.command_list import CommandList
from cusp.cli.support.output import AsJson, console, dash, print_json, print_table
from cusp.client import Client

app = typer.Typer(cls=CommandList, no_args_is_help=True, help="Make, list and revoke tokens.")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Who or what it is for; shown in the audit log.")],
    scope: Annotated[
        list[str], typer.Option(help="ingest, read, control or admin; repeat for several.")
    ],
    project: Annotated[str | None, typer.Option(help="Only runs of this project.")] = None,
    run: Annotated[str | None, typer.Option(help="Only the run with this id.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, this once.

    Example: cusp token create "box 7" --scope ingest --project tina
    """
    body = {"name": name, "scopes": scope, "project": project, "run_id": run}
    with Client() as client:
        made = client.post("/tokens", body)
    if as_json:
        return print_json(made)
    typer.echo(made["token"])
    typer.echo(f"shown this once; `cusp token revoke {made['id']}` ends it", err=True)
    return None


@app.command("list")
def listed(as_json: AsJson = False) -> None:
    """List the tokens, newest first, without their secrets.

    Example: cusp token list
    """
    with Client() as client:
        found = client.get("/tokens")["tokens"]
    if as_json:
        return print_json(found)
    columns = ["id", "name", "scopes", "project", "run", "last used", "revoked"]
    rows = [
        [
            token["id"],
            token["name"],
            " ".join(token["scopes"]),
            *(dash(token[key]) for key in ("project", "run_id", "last_used_at", "revoked_at")),
        ]
        for token in found
    ]
    return print_table(f"{len(rows)} tokens", columns, rows)


@app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(help="Id, as `cusp token list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """End a token for good.

    Example: cusp token revoke 01J9Z3NDEKTSV4RRFFQ69G5FAV
    """
    with Client() as client:
        ended = client.delete(f"/tokens/{token_id}")
    if as_json:
        return print_json(ended)
    console().print(f"{ended['name']} is revoked")
    return None
