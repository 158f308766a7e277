"""`cusp verify`: the weights of now against earlier checkpoints, on the run's held-out problems."""

import time
from typing import Annotated

import typer

from cusp.cli.show import RunArgument
from cusp.cli.support.output import AsJson, console, print_json, print_table
from cusp.cli.support.run_lookup import find
from cusp.cli.support.verifications import Record, compared, state_words
from cusp.client import Client
from cusp.errors import CuspError

_UNDER_WAY = ("open", "delivered", "agreed", "queued", "leased")
_EVERY_S = 1.0


class Gone(CuspError, LookupError):
    """The verification that was asked for is not known any more; the message says what to do."""


def verify(
    run: RunArgument,
    wait: Annotated[bool, typer.Option(help="Wait for the outcome and print it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have a run's weights of now compared with earlier checkpoints on held-out problems.

    If now is worse, and still is ten steps later or the signals confirm it, the policy acts on it.
    Example: cusp verify tiny --wait
    """
    with Client() as client:
        found = find(client, run)
        asked = client.post(f"/runs/{found['id']}/verifications", {})
        while wait and asked["state"] in _UNDER_WAY:
            time.sleep(_EVERY_S)
            asked = _again(client, found["id"], asked["id"])
    if as_json:
        return print_json(asked)
    steps = ", ".join(map(str, asked["candidates"]))
    said = f"verification of {found['name']} against step {steps}: {state_words(asked)}"
    console().print(said, markup=False)
    if asked["state"] in _UNDER_WAY:
        return console().print(f"follow it with `cusp show {run}`", markup=False)
    rows = compared(asked)
    if rows:
        print_table("now, less", ["step", "difference", "95 %", "problems"], rows)
    if asked["followed"]:
        console().print(asked["followed"], markup=False)
    return None


def _again(client: Client, run_id: str, verification_id: str) -> Record:
    found = client.get(f"/runs/{run_id}/verifications")["verifications"]
    asked = next((dict(one) for one in found if one["id"] == verification_id), None)
    if asked is None:
        raise Gone(
            f"verification {verification_id} is no longer among those of run {run_id}; look with"
            f" `cusp show {run_id}`"
        )
    return asked
