"""`cusp runs`: lists, deletes, restores and purges runs."""

from typing import Annotated, Any

import typer

from cusp.cli import show
from cusp.cli.support.command_list import CommandList
from cusp.cli.support.output import AsJson, console, dash, print_json, print_table
from cusp.cli.support.run_lookup import find, find_deleted
from cusp.client import Client

app = typer.Typer(cls=CommandList)
PromotedToo = Annotated[
    bool, typer.Option("--promoted-too", help="Although an alias points at a checkpoint of it.")
]


@app.callback(invoke_without_command=True)
def listed(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Only runs of this project.")] = None,
    q: Annotated[
        str | None, typer.Option("--q", help="Words of the name, project, tags, or an id.")
    ] = None,
    status: Annotated[
        str | None, typer.Option(help="Only: running, stopping, stopped, finished, failed, lost.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 100,
    before: Annotated[
        str | None, typer.Option(help="Go on with older runs, as the last line said.")
    ] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that can be restored.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first; delete, restore or purge one.

    Example: cusp runs --project tina --status running
    """
    if context.invoked_subcommand is not None:
        return None
    asked = {"project": project, "q": q, "status": status, "limit": limit, "before": before}
    if not deleted:
        return show.runs(asked, as_json)
    if status is not None:
        raise typer.BadParameter("deleted runs have no status", param_hint="--status")
    return _deleted({name: value for name, value in asked.items() if name != "status"}, as_json)


@app.command("delete")
def delete(
    run: show.RunArgument, promoted_too: PromotedToo = False, as_json: AsJson = False
) -> None:
    """Hide a run that is over; it can be restored for some time, then it is purged.

    Example: cusp runs delete tiny
    """
    with Client() as client:
        found = find(client, run)
        asked = "true" if promoted_too else None
        gone = client.delete(f"/runs/{found['id']}", confirm_promoted=asked)
    if as_json:
        return print_json(gone)
    out = console()
    out.print(f"{found['name']} is deleted; until {gone['restorable_until']} it can be restored:")
    out.print(f"cusp runs restore {found['id']}")
    out.print(gone["words"])
    return None


@app.command("restore")
def restore(run: show.RunArgument, as_json: AsJson = False) -> None:
    """Bring a deleted run back with everything that was stored of it.

    Example: cusp runs restore tiny
    """
    with Client() as client:
        found = find_deleted(client, run)
        back = client.post(f"/runs/{found['run_id']}/restore")
    if as_json:
        return print_json(back)
    console().print(f"{found['name']} is back: {client.page_url}/runs/{found['run_id']}")
    return None


@app.command("purge")
def purge(
    run: show.RunArgument, promoted_too: PromotedToo = False, as_json: AsJson = False
) -> None:
    """Remove a deleted run for good, now; needs the scope `admin`.

    Example: cusp runs purge tiny
    """
    with Client() as client:
        found = find_deleted(client, run)
        body = {"confirm_promoted": promoted_too}
        gone = client.post(f"/runs/{found['run_id']}/purge", body)
    if as_json:
        return print_json(gone)
    console().print(f"{found['name']} is gone for good; {gone['words']}")
    return None


def edit(
    run: show.RunArgument,
    name: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Add a tag; may be repeated.")] = None,
    untag: Annotated[list[str] | None, typer.Option(help="Take a tag off; likewise.")] = None,
    note: Annotated[
        str | None, typer.Option(help="Notes in place of those before; '' deletes them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rename a run, tag it, or write notes on it.

    Example: cusp edit tiny --name tiny-lr-1e-4 --tag keep --note "the one of the paper"
    """
    body: dict[str, Any] = {"name": name, "notes": note}
    with Client() as client:
        found = find(client, run)
        if tag or untag:
            off = untag or []
            kept = [one for one in found["tags"] if one not in off]
            body["tags"] = kept + [one for one in tag or [] if one not in kept]
        body = {key: value for key, value in body.items() if value is not None}
        if not body:
            raise typer.BadParameter("give --name, --tag, --untag or --note")
        changed = client.patch(f"/runs/{found['id']}", body)
    if as_json:
        return print_json(changed)
    out = console()
    tags = f", tags {', '.join(changed['tags'])}" if changed["tags"] else ", no tags"
    out.print(f"{changed['name']}{tags}", markup=False)
    if changed["notes"]:
        out.print(changed["notes"], markup=False)
    return None


def _deleted(asked: dict[str, Any], as_json: bool) -> None:
    with Client() as client:
        answer = client.get("/deleted-runs", **asked)
    if as_json:
        return print_json(answer)
    names = ("run_id", "name", "project", "step", "deleted_by", "deleted_at", "restorable_until")
    columns = ["run", "name", "project", "step", "by", "deleted", "restorable until"]
    rows = [[dash(run[name]) for name in names] for run in answer["deleted_runs"]]
    print_table(show.range_words(answer, len(rows), "deleted runs"), columns, rows)
    return show.say_next(answer, "cusp runs --deleted", asked)
