"""`cusp export`: a checkpoint of this box as a folder that vLLM serves, with a model card."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cusp import settings
from cusp.checkpoints import paths
from cusp.cli.checkpoints import checked_here
from cusp.cli.show import checkpoint_of
from cusp.cli.support.output import AsJson, console, print_json
from cusp.cli.support.requirements import need
from cusp.cli.support.run_lookup import find
from cusp.client import Client, ClientError
from cusp.process.secret_files import give_to_libraries

BEST = ("best", "pre-transition")  # taken where no alias is named, in this order


def export(
    of: Annotated[
        str, typer.Argument(metavar="RUN|CHECKPOINT", help="A run, or a checkpoint's folder.")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new folder.")],
    alias: Annotated[
        str | None, typer.Option(help="Of a run: best, pre-transition, production ...")
    ] = None,
    step: Annotated[int | None, typer.Option(help="Of a run: this checkpoint.", min=0)] = None,
    merged: Annotated[
        bool, typer.Option("--merged", help="Merge the adapter into its base, in float32.")
    ] = False,
    dtype: Annotated[
        str | None, typer.Option(help="With --merged: store float32 or bfloat16, not the base's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a checkpoint's adapter, or the merged model, with its tokenizer and a model card.

    Example: cusp export tiny --alias best --to ./tiny-best
    """
    need("export", "trainer")
    give_to_libraries("HF_TOKEN")  # of a base that asks for one
    from trainer.export.exporting import Wanted, name_of
    from trainer.export.exporting import export as write
    from trainer.export.merging import PRECISIONS
    from trainer.train import silence_libraries

    if dtype is not None and (dtype not in PRECISIONS or not merged):
        raise typer.BadParameter(f"--dtype is {' or '.join(PRECISIONS)}, and goes with --merged")
    silence_libraries()
    cache = settings.from_environment().directory / "cache"
    checkpoint, facts = (
        _given(Path(of), alias, step) if Path(of).is_dir() else _of_run(of, alias, step)
    )
    number = paths.step_of(checkpoint) or 0
    wanted = Wanted(name_of(facts.run.get("name") or "checkpoint", number), merged, dtype)
    made = write(checkpoint, to, wanted, cache, _say, facts)
    if as_json:
        return print_json(made.as_result())
    out = console()
    out.print(f"{made.folder}: {made.bytes:,} bytes, sha256 of its manifest {made.sha256}")
    if made.lost is not None:
        out.print(f"merged: {made.lost:.2g} of the update is lost by rounding (see its README.md)")
    return out.print(made.serve, soft_wrap=True, markup=False, highlight=False)


def _given(folder: Path, alias: str | None, step: int | None) -> tuple[Path, Any]:
    from trainer.export.card import Facts

    if alias is not None or step is not None:
        raise ClientError(f"{folder} is one checkpoint; --alias and --step choose one of a run")
    return folder, Facts()


def _of_run(of: str, alias: str | None, step: int | None) -> tuple[Path, Any]:
    """Return the folder of a run's checkpoint on this box, verified, and what the monitor knows of it."""
    from trainer.export.card import Facts

    with Client() as client:
        run = client.get(f"/runs/{find(client, of)['id']}")
        chosen = checkpoint_of(client, run, step if step is not None else _step(run, alias))
        found = checked_here(client, chosen, keep=False)
        if found is None or found.place is None:
            raise ClientError(
                f"run {run['name']} is not on this box; export it where it was trained, or ask a worker"
                " there with Export on its page"
            )
        scores = client.get(f"/runs/{run['id']}/evaluations")
    return found.place, Facts(run, chosen, scores["evaluations"], scores["comparison"])


def _step(run: dict[str, Any], alias: str | None) -> int:
    aliases = run["checkpoints"]
    named = next((each for each in ((alias,) if alias else BEST) if each in aliases), None)
    if named is not None:
        return int(aliases[named]["step"])
    there = ", ".join(sorted(aliases)) or "none"
    asked = f"no alias {alias!r}" if alias else f"neither {' nor '.join(BEST)}"
    raise ClientError(f"{run['name']} has {asked}; its aliases: {there}. --step names a checkpoint")


def _say(line: str) -> None:
    console().print(line, markup=False)
