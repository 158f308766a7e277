"""What `cusp replay` prints: one log in detail, several as a table."""

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.text import Text

from cusp.cli.support.output import console, dash, print_table
from cusp.roles.assign import describe

if TYPE_CHECKING:
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


def show(done: list[tuple[str, "Replay"]]) -> None:
    """Print one replay in detail, several as a table."""
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
    _looks(found)
    _segments(found)


def _looks(found: "Replay") -> None:
    """Print the verifications, or when the first would have been asked for."""
    from monitor.policy.verify import said

    out = console()
    if found.verify_step is not None and not found.looks:
        out.print(
            f"\n  [bold]verification[/] would have been asked for first at step {found.verify_step};"
            " --held-out replays it",
            highlight=False,
        )
    for look in found.looks:
        out.print(
            f"\n  [bold]verification[/] at step {look.step} (weights of step {look.measured},"
            f" {look.completions} scores): {look.outcome.replace('_', ' ')}",
            highlight=False,
        )
        for compared in look.compared:
            out.print(f"    {said(compared)}", highlight=False)


def _segments(found: "Replay") -> None:
    """Print the stretches of constant trend."""
    segments = found.opinion.records()
    if not segments:
        return
    out = console()
    out.print("\n  [bold]segments[/] of the whole log (ruptures), with the trend's ends")
    for one in segments:
        after = f"  [yellow]then worse: {', '.join(one['worse'])}[/]" if one["worse"] else ""
        steps = f"{one['from_step']}–{one['to_step']}"
        out.print(f"  [bright_black]{steps:12}[/] {one['words']}{after}", highlight=False)


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
