"""`cusp doctor`."""

import dataclasses
from typing import Annotated

import typer

from cusp.cli.support.output import AsJson, console, print_json

_MARKS = {"ok": "ok     ", "warning": "warning", "failure": "FAILURE"}


def doctor(
    recipe: Annotated[
        str | None, typer.Option(help="A recipe whose size the free disk is compared with.")
    ] = None,
    need_gpu: Annotated[
        bool, typer.Option("--need-gpu", help="Take a missing GPU for a failure.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check what a training or worker on this box needs; exit status 1 if something is missing.

    Example: cusp doctor --recipe tina_open_rs2
    """
    from trainer.doctor.examine import examine

    found = examine(recipe, need_gpu=need_gpu)
    failed = any(one.state == "failure" for one in found)
    if as_json:
        print_json({"ok": not failed, "checks": [dataclasses.asdict(one) for one in found]})
    else:
        out = console()
        for one in found:
            out.print(f"{_MARKS[one.state]}  {one.name}: {one.words}", markup=False)
            if one.way_out:
                out.print(f"         -> {one.way_out}", markup=False)
    raise typer.Exit(1 if failed else 0)
