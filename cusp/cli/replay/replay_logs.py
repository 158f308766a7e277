"""`cusp replay`: runs the detector and the policy over the log of a finished training."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cusp.cli.replay.options import (
    BadOption,
    checkpoint_steps,
    preset_name,
    reward_range,
    reward_weight,
    told_roles,
)
from cusp.cli.replay.text import show
from cusp.cli.support.requirements import need
from cusp.roles.assign import RoleError, check_roles
from cusp.roles.rules import function_of

if TYPE_CHECKING:
    from monitor.detector import RewardRange, RunShape
    from monitor.replay.readers.checkpoint_scores import CheckpointScores
    from monitor.replay.readers.logs import Log
    from monitor.replay.replay import Replay

EMPTY = 2  # the exit status when a file could not be read


Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="trainer_state.json, CSV, JSONL, a notebook, a console's output; or a run's folder.",
    ),
]


Rewards = Annotated[
    list[str] | None,
    typer.Option(help="The range of a reward, NAME=LOW:HIGH, :graded after it if in between."),
]


Roles = Annotated[
    list[str] | None,
    typer.Option(help="Which logged keys are what, ROLE=KEY[,KEY...]; may be repeated."),
]


Weights = Annotated[
    list[str] | None,
    typer.Option(help="The weight of a reward function in training, FUNCTION=NUMBER."),
]


HeldOutScores = Annotated[
    Path | None,
    typer.Option(help="CSV of held-out scores (step, problem, score): replays verifications."),
]


@dataclass(frozen=True)
class Options:
    """The options of `cusp replay` that bear on a verdict; None: the log says it, or nobody."""

    preset: str
    saved: list[int] | None  # steps with a checkpoint
    shape: "RunShape"
    roles: Mapping[str, list[str]]
    weights: Mapping[str, float]
    boundaries: Sequence[int]
    table: int | None
    logging_steps: int | None
    held_out: "CheckpointScores | None"


def replay(
    files: Files,
    save_steps: Annotated[
        int | None, typer.Option(min=1, help="A checkpoint was saved every N steps.")
    ] = None,
    checkpoints: Annotated[
        str | None, typer.Option(help="The steps of the checkpoints, such as 50,100,150.")
    ] = None,
    preset: Annotated[str, typer.Option(help="default, cautious or eager.")] = "default",
    completions: Annotated[
        int | None, typer.Option(min=1, help="Completions behind one logged point.")
    ] = None,
    reward: Rewards = None,
    role: Roles = None,
    weight: Weights = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Most tokens a completion may have.")
    ] = None,
    boundary: Annotated[
        list[int] | None, typer.Option(min=0, help="First step of other data; may be repeated.")
    ] = None,
    table: Annotated[
        int | None, typer.Option(min=1, help="Which table of a notebook to read, from 1.")
    ] = None,
    logging_steps: Annotated[
        int | None, typer.Option(min=1, help="Steps between two printed rows that name no step.")
    ] = None,
    held_out: HeldOutScores = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document a file, each on a line.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write one self-contained page with the charts here.")
    ] = None,
) -> None:
    """Say what Cusp would have said of finished runs: transition, stop, checkpoint to keep.

    Example: cusp replay outputs/checkpoint-500/trainer_state.json --save-steps 50
    """
    need("replay", "monitor")
    from monitor.detector import RunShape

    options = Options(
        preset=preset_name(preset),
        saved=checkpoint_steps(checkpoints, save_steps),
        shape=RunShape(
            completions_per_point=completions,
            rewards=dict(map(reward_range, reward or ())),
            completion_limit_tokens=limit,
            save_steps=save_steps,
        ),
        roles=told_roles(role or ()),
        weights=dict(map(reward_weight, weight or ())),
        boundaries=boundary or (),
        table=table,
        logging_steps=logging_steps,
        held_out=_held_out(held_out, files),
    )
    done = list(_replayed(files, options, as_json=as_json))
    if not as_json:
        show(done)
    if html is not None and done:
        _write(html, done)
    if len(done) < len(files):
        raise typer.Exit(EMPTY)


def _replayed(
    files: Iterable[Path], options: Options, *, as_json: bool
) -> "Iterator[tuple[str, Replay]]":
    """Yield the name and the replay of each file that can be read; print the errors and the notes.

    With `as_json` each replay is printed, too.
    """
    from monitor.replay.readers.logs import LogError
    from monitor.replay.replay import as_json as in_json

    for file in files:
        try:
            found, notes = _replayed_one(file, options)
        except RoleError as error:
            typer.echo(f"cusp: {file}: {error}", err=True)
            continue
        except LogError as error:
            typer.echo(f"cusp: {error}", err=True)
            continue
        for note in notes:
            typer.echo(f"{file}: {note}", err=True)
        if as_json:
            typer.echo(_line({**in_json(str(file), found), "notes": notes}))
        yield str(file), found


def _replayed_one(file: Path, options: Options) -> "tuple[Replay, list[str]]":
    """Return the replay of a log, and notes on the log and on options that change nothing."""
    from monitor.replay.readers.logs import read_log
    from monitor.replay.replay import replay as run_replay

    is_told, every = bool(options.roles), options.logging_steps
    log = read_log(file, table=options.table, logging_steps=every, told=is_told)
    check_roles(options.roles, _logged(log))
    save_steps = options.shape.save_steps or log.save_steps
    shape = replace(options.shape, max_steps=log.max_steps, save_steps=save_steps)
    found = run_replay(
        log.samples,
        shape,
        options.preset,
        checkpoints=options.saved,
        boundaries=options.boundaries,
        roles=options.roles,
        weights=options.weights,
        held_out=options.held_out,
    )
    missing = options.held_out.notes if options.held_out else ()
    return found, [*log.notes, *missing, *_idle(log, found, shape.rewards, options.weights)]


def _held_out(file: Path | None, logs: Sequence[Path]) -> "CheckpointScores | None":
    """Return the held-out scores of the only log."""
    from monitor.replay.readers.checkpoint_scores import read_scores

    if file is None:
        return None
    if len(logs) > 1:
        raise BadOption(
            f"--held-out {file} holds the scores of one run, and {len(logs)} files are given; give its log"
            " alone"
        )
    return read_scores(file)


def _idle(
    log: "Log", found: "Replay", rewards: "Mapping[str, RewardRange]", weights: Mapping[str, float]
) -> list[str]:
    """Return a sentence for each range and weight that matches nothing in the log."""
    from monitor.roles.ranges import ranges

    keys = _logged(log)
    there = {*keys, *(function for key in keys if (function := function_of(key)))}
    idle = [
        f"--reward {name}"
        for name, span in rewards.items()
        if name not in there and not ranges(found.roles.assignment, {name: span})
    ]
    idle += [f"--weight {name}" for name in weights if name not in there]
    return [f"{one} changes nothing: nothing was logged under that name" for one in idle]


def _logged(log: "Log") -> list[str]:
    return sorted({name for sample in log.samples for name in sample.metrics})


def _line(value: dict[str, Any]) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _write(html: Path, done: list[tuple[str, "Replay"]]) -> None:
    from monitor.replay.page import page

    try:
        html.write_text(page(done), encoding="utf-8")
    except OSError as error:
        raise BadOption(f"{html} cannot be written ({error.strerror}); give another file") from None
