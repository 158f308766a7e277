"""`cusp replay`: runs the detector and the policy over the log of a finished training."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.text import Text

from cusp.cli.support.output import console, dash, print_table
from cusp.cli.support.requirements import need
from cusp.errors import CuspError
from cusp.roles.assign import SERIES, RoleError, check_roles, describe
from cusp.roles.rules import function_of

if TYPE_CHECKING:
    from monitor.detector import RewardRange, RunShape
    from monitor.replay.readers.logs import Log
    from monitor.replay.replay import Replay

WIDTH = 60
LOOK = {
    "warming_up": ("░", "bright_black"),
    "adapting": ("▒", "blue"),
    "adapted": ("▓", "green"),
    "turning": ("▚", "yellow"),
    "past": ("█", "magenta"),
    "collapsed": ("█", "red"),
}
EMPTY = 2  # the exit status when a file could not be read


class BadOption(CuspError, ValueError):
    """An option has an invalid value; the message says what to give."""


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


def replay(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="trainer_state.json, CSV, JSONL, a notebook, a console's output; or a run's folder.",
        ),
    ],
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
    reward: Annotated[
        list[str] | None,
        typer.Option(help="The range of a reward, NAME=LOW:HIGH, :graded after it if in between."),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help="Which logged keys are what, ROLE=KEY[,KEY...]; may be repeated."),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(help="The weight of a reward function in training, FUNCTION=NUMBER."),
    ] = None,
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
        preset=_preset(preset),
        saved=_steps(checkpoints, save_steps),
        shape=RunShape(
            completions_per_point=completions,
            rewards=dict(map(_range, reward or ())),
            completion_limit_tokens=limit,
            save_steps=save_steps,
        ),
        roles=_roles(role or ()),
        weights=dict(map(_weight, weight or ())),
        boundaries=boundary or (),
        table=table,
        logging_steps=logging_steps,
    )
    done = list(_replayed(files, options, as_json=as_json))
    if not as_json:
        _show(done)
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
    )
    return found, [*log.notes, *_idle(log, found, shape.rewards, options.weights)]


def _preset(name: str) -> str:
    """Return the name of a preset; BadOption for one that there is not."""
    from monitor.detector import PRESETS

    if name not in PRESETS:
        raise BadOption(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return name


def _steps(checkpoints: str | None, save_steps: int | None) -> list[int] | None:
    if checkpoints is None:
        return None
    if save_steps is not None:
        raise BadOption("--save-steps and --checkpoints say the same twice; give one of them")
    try:
        return [int(part) for part in checkpoints.split(",") if part.strip()]
    except ValueError:
        raise BadOption(
            f"--checkpoints {checkpoints!r} is no list of steps; give it as 50,100,150"
        ) from None


def _range(text: str) -> "tuple[str, RewardRange]":
    """Return name and range of `NAME=LOW:HIGH` or `NAME=LOW:HIGH:graded`; a role is replaced by its series.

    >>> _range("accuracy=0:2")
    ('accuracy_reward', RewardRange(low=0.0, high=2.0, graded=False))
    >>> _range("rewards/my_tags/mean=0:2")[0]
    'my_tags'
    """
    from monitor.detector import RewardRange

    found = re.fullmatch(r"([^=]+)=([^:]+):([^:]+)(:graded)?", text)
    try:
        name, low, high, graded = found.groups() if found else ("", "", "", None)
        span = RewardRange(float(low), float(high), graded=graded is not None)
        if not -math.inf < span.low < span.high < math.inf:
            raise ValueError
    except ValueError:
        raise BadOption(
            f"--reward {text!r} is no range; give it as format_reward=0:1 or accuracy=-1:1:graded"
        ) from None
    return SERIES.get(name) or function_of(name) or name, span


def _roles(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return the roles in `ROLE=KEY[,KEY...]` options; repeated roles are merged.

    >>> _roles(["format=rewards/a,rewards/b", "length=n_tokens", "format=c"])
    {'format': ['rewards/a', 'rewards/b', 'c'], 'length': ['n_tokens']}
    """
    told: dict[str, list[str]] = {}
    for text in texts:
        name, sign, keys = text.partition("=")
        if not sign or not name.strip():
            raise RoleError(
                f"--role {text!r} tells no role; give it as format=KEY or format=KEY,KEY"
            )
        said = [key.strip() for key in keys.split(",") if key.strip()]
        told.setdefault(name.strip(), []).extend(said)
    check_roles(told)
    return told


def _weight(text: str) -> tuple[str, float]:
    """Return function and weight of `FUNCTION=NUMBER`; the function's logged key is accepted, too.

    >>> _weight("my_tags=2"), _weight("rewards/my_tags/mean=2")
    (('my_tags', 2.0), ('my_tags', 2.0))
    """
    name, _, number = text.partition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not name or not math.isfinite(weight):
        raise RoleError(f"--weight {text!r} is no weight; give it as soft_format_reward_func=0.5")
    return function_of(name) or name, weight


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


def _show(done: list[tuple[str, "Replay"]]) -> None:
    if len(done) == 1:
        _details(*done[0])
    elif done:
        _overview(done)


def _overview(done: list[tuple[str, "Replay"]]) -> None:
    rows: list[list[str | Text]] = [
        [
            _short(name),
            str(len(found.samples)),
            Text.from_markup(_colored(found.verdict.phase)),
            _interval(found),
            dash(found.stop_step),
            dash(found.keep_step),
            _strip(found, 30),
        ]
        for name, found in done
    ]
    columns = ["file", "steps", "phase", "transition", "stop", "keep", "phases over the steps"]
    print_table("", columns, rows, give_up=["phases over the steps", "steps"])
    stopped = sum(found.stop_step is not None for _, found in done)
    console().print(
        f"\n{stopped} of {len(done)} would have been stopped. ? = not confirmed. One file alone is"
        " shown in detail; --html draws them.",
        style="bright_black",
    )


def _details(name: str, found: "Replay") -> None:
    from monitor.replay.page import keep_words

    out = console()
    out.print(f"[bold]{escape(name)}[/]  {len(found.samples)} logged steps")
    out.print(f"{escape(found.verdict.words)}\n")
    out.print(f"  [bright_black]phase[/]       {_colored(found.verdict.phase)}")
    out.print(f"  [bright_black]transition[/]  {_interval(found)}")
    out.print(f"  [bright_black]stop[/]        {_stop(found)}")
    out.print(f"  [bright_black]keep[/]        {keep_words(found)}")
    for number, sentence in enumerate(describe(found.roles.assignment)):
        title = "" if number else "roles"
        out.print(f"  [bright_black]{title:11}[/] {escape(sentence)}")
    out.print()
    out.print(Text("  ") + _strip(found, WIDTH))
    for span in found.phases:
        mark, color = LOOK[span.phase]
        steps = f"{span.from_step}–{span.to_step}"
        out.print(f"  [{color}]{mark}[/] {span.phase.replace('_', ' '):12} {steps}")
    for point in found.change_points:
        out.print(
            f"\n  [bold]{point.kind.replace('_', ' ')}[/] at step {point.step} (likely {point.low}–"
            f"{point.high}), {point.state}, seen at step {point.seen_at_step}\n  {escape(point.words)}"
        )
    if found.opinion and found.transition:
        agrees = found.opinion.agrees(found.transition.low, found.transition.high)
        out.print(
            f"\n  [bright_black]second opinion (ruptures): {'a' if agrees else 'no'} change inside"
            f" the interval; changes after {_listed(found.opinion.change_steps)}[/]"
        )


def _listed(steps: Iterable[int]) -> str:
    return ", ".join(str(step) for step in steps) or "no step"


def _colored(phase: str) -> str:
    return f"[{LOOK[phase][1]}]{phase.replace('_', ' ')}[/]"


def _interval(found: "Replay") -> str:
    t = found.transition
    if t is None:
        return "–"
    return f"{t.step} ({t.low}–{t.high}){'?' if t.state == 'provisional' else ''}"


def _stop(found: "Replay") -> str:
    if found.stop_step is None:
        return "not stopped"
    last = found.verdict.step
    spared = 100 * (last - found.stop_step) / last if last else 0
    return f"after step {found.stop_step} of {last} ({spared:.0f} % of the steps spared)"


def _strip(found: "Replay", width: int) -> Text:
    """Return the phases as a bar, each cell an equal share of the logged steps."""
    count, bar = len(found.verdicts), Text()
    for cell in range(width):
        mark, color = LOOK[found.verdicts[cell * count // width].phase]
        bar.append(mark, style=color)
    return bar


def _short(name: str, width: int = 46) -> str:
    return name if len(name) <= width else f"…{name[1 - width :]}"


def _write(html: Path, done: list[tuple[str, "Replay"]]) -> None:
    from monitor.replay.page import page

    try:
        html.write_text(page(done), encoding="utf-8")
    except OSError as error:
        raise BadOption(f"{html} cannot be written ({error.strerror}); give another file") from None
