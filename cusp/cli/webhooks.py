"""`cusp webhook`: adds, lists, tests and removes webhooks over REST, with the scope `admin`."""

import time
from typing import Annotated, Any

import typer

from cusp.cli.support.command_list import CommandList
from cusp.cli.support.output import AsJson, console, dash, print_json, print_table
from cusp.client import Client, ClientError

app = typer.Typer(
    cls=CommandList,
    no_args_is_help=True,
    help="Tell other programs of transitions, stops and ends.",
)
WebhookArgument = Annotated[str, typer.Argument(help="Id, as `cusp webhook list` shows it.")]
WAIT_S = 20.0


@app.command("add")
def add(
    url: Annotated[str, typer.Argument(help="Where to POST to; https.")],
    topic: Annotated[
        list[str] | None, typer.Option(help="E.g. transition.found; repeat for several; all else.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Only runs of this project.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add a webhook and print its secret, this once.

    Example: cusp webhook add https://hooks.example/cusp --topic transition.found --topic run.ended
    """
    body = {"url": url, "project": project, **({"topics": topic} if topic else {})}
    with Client() as client:
        made = client.post("/webhooks", body)
    if as_json:
        return print_json(made)
    typer.echo(made["secret"])
    typer.echo(f"shown this once; try it with `cusp webhook test {made['id']}`", err=True)
    return None


@app.command("list")
def listed(
    webhook: Annotated[
        str | None, typer.Argument(help="Id of one, to list its newest deliveries.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the webhooks without their secrets, or what became of one's deliveries.

    Example: cusp webhook list
    """
    with Client() as client:
        if webhook is not None:
            found = client.get(f"/webhooks/{webhook}/deliveries")["deliveries"]
        else:
            found = client.get("/webhooks")["webhooks"]
    if as_json:
        return print_json(found)
    return _print_deliveries(found) if webhook else _print_webhooks(found)


@app.command("test")
def ping(webhook: WebhookArgument, as_json: AsJson = False) -> None:
    """Send a `ping` and say what came of it.

    Example: cusp webhook test 01J9Z3NDEKTSV4RRFFQ69G5FAV
    """
    with Client() as client:
        delivery = client.post(f"/webhooks/{webhook}/test")
        path = f"/webhooks/{webhook}/deliveries/{delivery['id']}"
        until = time.monotonic() + WAIT_S
        while not _tried(delivery) and time.monotonic() < until:
            time.sleep(0.2)
            delivery = client.get(path)
    if as_json:
        print_json(delivery)
    elif delivery["state"] == "delivered":
        console().print(f"delivered: the receiver answered {delivery['http_status']}")
    if delivery["state"] == "delivered":
        return
    raise ClientError(
        delivery["error"] or f"it was not sent within {WAIT_S:.0f} s; see the monitor's log"
    )


@app.command("retry")
def retry(
    webhook: WebhookArgument,
    delivery: Annotated[str, typer.Argument(help="Id, as `cusp webhook list WEBHOOK` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Send a delivery again that was given up, the same bytes under the same id.

    Example: cusp webhook retry 01J9Z3NDEKTSV4RRFFQ69G5FAV 01J9Z4A7Q2M9C1V5B8K6X0T3YZ
    """
    with Client() as client:
        sent = client.post(f"/webhooks/{webhook}/deliveries/{delivery}/retry")
    if as_json:
        return print_json(sent)
    console().print(f"{sent['topic']} waits to be sent again")
    return None


@app.command("remove")
def remove(webhook: WebhookArgument, as_json: AsJson = False) -> None:
    """Remove a webhook; what waits for it is dropped.

    Example: cusp webhook remove 01J9Z3NDEKTSV4RRFFQ69G5FAV
    """
    with Client() as client:
        gone = client.delete(f"/webhooks/{webhook}")
    if as_json:
        return print_json(gone)
    console().print(f"removed; {gone['dropped']} deliveries dropped")
    return None


def _tried(delivery: dict[str, Any]) -> bool:
    return delivery["state"] in ("delivered", "dead") or delivery["error"] is not None


def _print_webhooks(found: list[dict[str, Any]]) -> None:
    columns = ["id", "url", "topics", "project", "waiting", "delivered", "given up"]
    rows = [
        [
            one["id"],
            one["url"],
            " ".join(one["topics"]),
            dash(one["project"]),
            *(str(one[name]) for name in ("waiting", "delivered", "dead")),
        ]
        for one in found
    ]
    print_table(f"{len(rows)} webhooks", columns, rows)


def _print_deliveries(found: list[dict[str, Any]]) -> None:
    columns = ["id", "topic", "run", "state", "tries", "created", "next try", "problem"]
    names = ("id", "topic", "run_id", "state", "attempts", "created_at", "next_at", "error")
    rows = [[dash(one[name]) for name in names] for one in found]
    print_table(f"{len(rows)} deliveries", columns, rows)
