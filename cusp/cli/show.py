"""`cusp show`, `cusp stop`, and the run table of `cusp runs`, over REST."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cusp.cli.support.output import (
    AsJson,
    console,
    dash,
    duration,
    interval,
    percent,
    print_json,
    print_table,
)
from cusp.cli.support.run_lookup import find
from cusp.cli.support.verifications import summarised
from cusp.client import Client, ClientError

WIDE = 140  # terminal width in characters from which on ids are shown whole

LONGEST_REASON = 400  # characters of the reason why a run ended; --json has all of them

RunArgument = Annotated[
    str, typer.Argument(help="Run id, the beginning or end of one, or its name.")
]


def runs(asked: dict[str, Any], as_json: bool) -> None:
    """Print a page of the runs, newest first."""
    with Client() as client:
        answer = client.get("/runs", **asked)
    if as_json:
        return print_json(answer)
    # The end of an id identifies its run as well, and leaves room for the other columns.
    whole = console().width >= WIDE
    rows = [
        [
            run["id"] if whole else run["id"][-8:],
            run["name"] if whole else shortened(run["name"], 30),
            run["status"],
            f"{dash(run['step'])}/{dash(run['max_steps'])}",
            _phase(run),
            _transition(run["transition"]),
            dash(kept_checkpoint(run["checkpoints"]).get("step")),
            interval(run["score"]),
        ]
        for run in answer["runs"]
    ]
    columns = ["run", "name", "status", "step", "phase", "transition", "kept", "pass@1"]
    print_table(
        range_words(answer, len(rows), "runs"),
        columns,
        rows,
        give_up=["pass@1", "transition", "kept", "phase"],
    )
    return say_next(answer, "cusp runs", asked)


def shortened(text: str, most: int) -> str:
    """Return the text, its middle replaced by `…` if it is longer than `most` characters.

    >>> shortened("open-rs2-lr-1e-6-seed-7", 12), shortened("tina", 12)
    ('open-rs…ed-7', 'tina')
    """
    if len(text) <= most:
        return text
    end = (most - 1) // 3 + 1
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def range_words(answer: dict[str, Any], shown: int, kind: str) -> str:
    """Return which part of a list an answer holds, as text.

    >>> range_words({"total": 12_345, "first": 100}, 100, "runs")
    'runs 101-200 of 12,345'
    """
    if answer["total"] == shown:
        return f"{shown:,} {kind}"
    return f"{kind} {answer['first'] + 1:,}-{answer['first'] + shown:,} of {answer['total']:,}"


def say_next(answer: dict[str, Any], command: str, asked: dict[str, Any]) -> None:
    """Print the command for the next page, if there is one."""
    if not answer["next"]:
        return
    given = {**asked, "before": answer["next"]}
    options = [f"--{name} {shlex.quote(str(value))}" for name, value in given.items() if value]
    console().print(f"older: {command} {' '.join(options)}", markup=False)


def show(run: RunArgument, as_json: AsJson = False) -> None:
    """Show one run: verdict, checkpoints with scores, decisions.

    Example: cusp show tiny
    """
    with Client() as client:
        found = find(client, run)
        detail = client.get(f"/runs/{found['id']}")
        checkpoints = client.get(f"/runs/{found['id']}/checkpoints")["checkpoints"]
        verifications = client.get(f"/runs/{found['id']}/verifications")["verifications"]
        cost = client.get(f"/runs/{found['id']}/cost")
    if as_json:
        rest = {"checkpoint_list": checkpoints, "verifications": verifications, "cost": cost}
        return print_json({**detail, **rest})
    out = console()
    out.print(f"[bold]{escape(detail['name'])}[/]  {detail['id']}  {escape(detail['project'])}")
    out.print(
        f"{detail['status']}, {_phase(detail)} at step {dash(detail['step'])}"
        f" of {dash(detail['max_steps'])}, compute saved {percent(detail['saved_fraction'])}"
    )
    out.print(_times(detail))
    if line := cost_line(cost):
        out.print(line, highlight=False)
    if reason := _untold_reason(detail):
        out.print(f"{detail['status']}: {reason}", markup=False)
    out.print(detail["words"], markup=False)
    for sentence in (detail.get("roles") or {}).get("words", ()):
        out.print(f"  {sentence}", style="bright_black", markup=False, highlight=False)
    for line in _left_out(detail["left_out"]):
        out.print(line, markup=False, style="yellow")
    out.print(f"{client.page_url}/runs/{detail['id']}\n", soft_wrap=True)
    kept = [
        [str(c["step"]), _state(c), ", ".join(c["aliases"]) or "–", interval(_report(c))]
        for c in checkpoints
    ]
    print_table("checkpoints", ["step", "state", "aliases", "pass@1 (report)"], kept)
    out.print()
    if verifications:
        columns = ["step", "outcome", "asked by", "now, less", "completions"]
        print_table("verified on held-out problems", columns, summarised(verifications))
        out.print()
    taken = [[dash(d["step"]), d["kind"], d["author"], d["reason"]] for d in detail["decisions"]]
    return print_table("decisions", ["at step", "decision", "by", "reason"], taken)


def _untold_reason(run: dict[str, Any]) -> str | None:
    """Return the reason of the run's status if neither its verdict nor a decision gives it."""
    reason = run["status_reason"]
    told = reason in run["words"] if reason else True
    if told or any(d["reason"] == reason for d in run["decisions"]):
        return None
    return shortened(" ".join(str(reason).split()), LONGEST_REASON)


def _times(run: dict[str, Any]) -> str:
    """Return a line with the run's times, duration and cost."""
    until = f" until {run['ended_at'][:19]}Z" if run["ended_at"] else ""
    attempts = f" in {run['attempt_count']} attempts" if run["attempt_count"] > 1 else ""
    spent = f", {run['spent_usd']:.2f} USD spent" if run["spent_usd"] is not None else ""
    return f"since {run['started_at'][:19]}Z{until}: {duration(run['elapsed_s'])}{attempts}{spent}"


def cost_line(cost: dict[str, Any]) -> str:
    """Return what a run cost, as a line; empty where nothing is known.

    >>> part = {"usd": 1.5, "flops": 2e18}
    >>> parts = dict.fromkeys(("training", "evaluation", "verification", "total"), part)
    >>> cost_line({**parts, "saved": {"usd": None, "flops": 1e18}, "at_transition": None})
    'cost 1.50 USD, 2e+18 FLOP (evaluation 1.50 USD, verification 1.50 USD); saved 1e+18 FLOP'
    """
    total = _amounts(cost["total"]) or _amounts(cost["training"])
    if not total:
        return ""
    names = ("evaluation", "verification")
    beside = [f"{n} {cost[n]['usd']:.2f} USD" for n in names if cost[n]["usd"]]
    line = f"cost {total}" + (f" ({', '.join(beside)})" if beside else "")
    for name, words in (("at_transition", "at the transition"), ("saved", "saved")):
        if cost[name] and (amounts := _amounts(cost[name])):
            line += f"; {words} {amounts}"
    return line


def _amounts(spent: dict[str, Any]) -> str:
    usd = f"{spent['usd']:.2f} USD" if spent["usd"] is not None else ""
    flops = f"{spent['flops']:.3g} FLOP" if spent["flops"] else ""
    return ", ".join(filter(None, (usd, flops)))


def stop(
    run: RunArgument,
    reason: Annotated[str, typer.Option(help="Shown with the stop.")] = "stopped by a person",
    after_save: Annotated[bool, typer.Option(help="Wait for the next regular save.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask a run to save, pin, acknowledge and end.

    Example: cusp stop tiny --reason "seen enough"
    """
    mode = "after_save" if after_save else "graceful"
    with Client() as client:
        found = find(client, run)
        command = client.post(f"/runs/{found['id']}/stop", {"reason": reason, "mode": mode})
    if as_json:
        return print_json(command)
    console().print(
        f"stop of {found['name']} is {command['state']}; follow it with `cusp show {run}`"
    )
    return None


def report(
    run: RunArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to; else RUN-report.html here.")
    ] = None,
) -> None:
    """Write a run's report: one HTML file with charts, verdict, scores and timeline, to keep or to send.

    Example: cusp report tiny -o tiny.html
    """
    with Client() as client:
        found = find(client, run)
        html = client.page(f"/runs/{found['id']}/report.html")
    path = output or Path(f"{found['id']}-report.html")
    path.write_text(html, encoding="utf-8")
    console().print(f"{path} ({len(html) / 1e6:.1f} MB)")


def checkpoint_of(client: Client, run: dict[str, Any], step: int) -> dict[str, Any]:
    """Return the run's newest checkpoint of a step, preferring one that is present.

    ClientError, with the available steps, if there is none.
    """
    found = client.get(f"/runs/{run['id']}/checkpoints")["checkpoints"]
    of_step = [dict(one) for one in found if one["step"] == step]
    there = [one for one in of_step if one["state"] in ("present", "pinned")]
    if of_step:
        return (there or of_step)[-1]
    steps = ", ".join(str(checkpoint["step"]) for checkpoint in found) or "none"
    raise ClientError(f"{run['name']} has no checkpoint of step {step}; there are {steps}")


def _state(checkpoint: dict[str, Any]) -> str:
    told_of = checkpoint["aliases"] and checkpoint["state"] in ("present", "pinned")
    unsure = told_of and not checkpoint.get("verified", True)
    return f"{checkpoint['state']}, not verified" if unsure else str(checkpoint["state"])


def _left_out(lacks: dict[str, Any]) -> list[str]:
    """Return lines on the parts of the run that the monitor did not store."""
    lines = [f"left out of the announcement: {said}" for said in lacks["start"]]
    for one in lacks["metrics"][:5]:
        lines.append(
            f"left out: {one['name'][:60]} ({one['count']:,} times): {one['reason'][:160]}"
        )
    more = len(lacks["metrics"]) - 5
    if more > 0 or lacks["more"]:
        others = f"{more:,} more names" if more > 0 else ""
        values = f"{lacks['more']:,} values under further names" if lacks["more"] else ""
        lines.append(
            f"left out: {' and '.join(filter(None, (others, values)))}; see the run's page"
        )
    if lacks["fields"]:
        lines.append(f"ignored fields of a newer client: {', '.join(sorted(lacks['fields']))}")
    return lines


def _report(checkpoint: dict[str, Any]) -> dict[str, Any] | None:
    return next((s for s in checkpoint["scores"] if s["split"] == "report"), None)


def kept_checkpoint(aliases: dict[str, Any]) -> dict[str, Any]:
    """Return the checkpoint of the column `kept`, as the dashboard chooses it."""
    return aliases.get("pre-transition") or aliases.get("best") or {}


def _phase(run: dict[str, Any]) -> str:
    """Return the phase; a dash for a run without a step."""
    return "–" if run["step"] is None else str(run["phase"])


def _transition(found: dict[str, Any] | None) -> str:
    if not found:
        return "–"
    return f"{found['step']} [{found['low']}-{found['high']}]" + (
        "" if found["state"] == "confirmed" else f" {found['state']}"
    )
