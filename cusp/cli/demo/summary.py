"""Summary of the demo's run (transition, kept checkpoint, savings), as JSON and as text."""

from typing import Any

from rich.console import Console
from rich.table import Table

from cusp.cli.support.output import interval, percent
from cusp.client import Client

Json = dict[str, Any]


def summarised(
    client: Client, run_id: str, seconds: dict[str, float], evaluation_error: str | None = None
) -> Json:
    """Return the summary of an ended run; scores are those of the report set."""
    run = client.get(f"/runs/{run_id}")
    scores = client.get(f"/runs/{run_id}/evaluations")
    looks = client.get(f"/runs/{run_id}/verifications")["verifications"]
    found = summary(run, scores, looks)
    place = {"run_id": run_id, "url": f"{client.page_url}/runs/{run_id}"}
    return {**place, **found, "evaluation_error": evaluation_error, "seconds": seconds}


def summary(run: Json, scores: Json, looks: list[Json]) -> Json:
    """Return the summary of what the monitor has: a run, its evaluations, its verifications (newest first)."""
    verifications = [_verification(one) for one in reversed(looks)]
    stopped = run["status"] == "stopped"
    kept = run["checkpoints"].get("pre-transition")
    best = run["checkpoints"].get("best")
    return {
        "name": run["name"],
        "status": run["status"],
        "phase": run["phase"],
        "words": run["words"],
        "max_steps": run["max_steps"],
        "last_step": run["step"],
        "stopped_at_step": run["step"] if stopped else None,
        "transition": _transition(run, verifications),
        "verifications": verifications,
        "kept_checkpoint_step": kept["step"] if kept else None,
        "best_checkpoint_step": best["step"] if best else None,
        "candidates": _candidates(scores["evaluations"]),
        "comparison": scores["comparison"],
        "saved_fraction": run["saved_fraction"] or 0.0,
        "elapsed_s": run["elapsed_s"],
        "spent_usd": run["spent_usd"],
    }


def print_summary(out: Console, result: Json) -> None:
    """Print the summary for a person."""
    out.print()
    out.rule("[bold]Cusp summary", align="left")
    out.print(_found(result))
    for one in result["verifications"]:
        out.print(_look(one), markup=False)
    out.print(_ending(result))
    if result["evaluation_error"]:
        out.print(f"The evaluation failed: {result['evaluation_error']}", markup=False)
    if result["candidates"]:
        out.print(_table(result))
    comparison = result["comparison"] or {}
    if comparison.get("reason"):
        out.print(comparison["reason"])
    out.print(
        "Seconds: " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in result["seconds"].items())
    )
    out.print(f"Page: [bold]{result['url']}[/]")


def _transition(run: Json, verifications: list[Json]) -> Json | None:
    """Return the transition that the signals confirmed, or that held-out scores bore out; else None."""
    found = run["transition"]
    if not found:
        return None
    verified = any(one["outcome"] == "worse" for one in verifications)
    if found["state"] != "confirmed" and not (verified and run["status"] == "stopped"):
        return None
    keys = ("step", "low", "high", "safe_step", "seen_at_step")
    by = "signals" if found["state"] == "confirmed" else "held-out scores"
    return {**{key: found[key] for key in keys}, "confirmed_by": by}


def _verification(one: Json) -> Json:
    means = {each["step"]: each["mean"] for each in one["scored"]}
    return {
        "step": one["measured_step"] if one["measured_step"] is not None else one["step"],
        "outcome": one["state"],
        "compared": [{**each, "score": means.get(each["step"])} for each in one["comparisons"]],
        "completions": one["completions"],
        "seconds": one["seconds"],
    }


def _found(result: Json) -> str:
    """Return the sentence on the transition; one that was only suspected is not called one."""
    found = result["transition"]
    if found is not None:
        place = f"step [bold]{found['step']}[/] (likely {found['low']}-{found['high']})"
        if found["confirmed_by"] == "signals":
            return f"Transition at {place}, seen at step {found['seen_at_step']}."
        return f"Transition suspected at {place}, and borne out by held-out scores."
    if result["stopped_at_step"] is not None:
        return (
            "The signals confirmed no transition; the run was stopped all the same, as said below."
        )
    return f"No format phase transition was confirmed. {result['words']}"


def _look(one: Json) -> str:
    """Return the line of one verification: the greatest difference to an earlier checkpoint."""
    compared = one["compared"]
    if not compared:
        return f"Verification at step {one['step']}: {one['outcome'].replace('_', ' ')}."
    most = min(compared, key=lambda each: float(each["difference"]))
    return (
        f"Verification at step {one['step']}, {most['problems']} held-out problems: {most['difference']:+.2f}"
        f" [{most['low']:+.2f}, {most['high']:+.2f}] against step {most['step']}:"
        f" {one['outcome'].replace('_', ' ')}."
    )


def _candidates(evaluations: list[Json]) -> list[Json]:
    """Return each candidate's score on the report set, or on the selection set where it was scored no further."""
    found: dict[int, Json] = {}
    for one in evaluations:
        if one["split"] == "report" or one["step"] not in found:
            found[one["step"]] = _candidate(one)
    return [found[step] for step in sorted(found)]


def _candidate(one: Json) -> Json:
    score = {key: one[key] for key in ("pass_at_1", "low", "high")}
    return {"role": one["roles"][0], "roles": one["roles"], "step": one["step"], **score,
            "split": one["split"], "n": one["n_problems"]}  # fmt: skip


def _ending(result: Json) -> str:
    steps = f"of {result['max_steps']} steps"
    kept = result["kept_checkpoint_step"]
    pinned = f" Kept: the checkpoint of step {kept}." if kept is not None else ""
    if result["stopped_at_step"] is None:
        return f"Trained {result['last_step']} {steps}, not stopped.{pinned}"
    saved = percent(result["saved_fraction"])
    return f"Stopped at step {result['stopped_at_step']} {steps}: {saved} of the compute saved.{pinned}"


def _table(result: Json) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("step", "candidate", "pass@1", "set", "against the reference", ""):
        table.add_column(column)
    compared = {row["step"]: row for row in (result["comparison"] or {}).get("rows", [])}
    for one in result["candidates"]:
        marks = {"kept": result["kept_checkpoint_step"], "best": result["best_checkpoint_step"]}
        table.add_row(
            str(one["step"]),
            ", ".join(one["roles"]),
            interval(one),
            one["split"],
            _difference(compared.get(one["step"])),
            " ".join(name for name, step in marks.items() if step == one["step"]),
        )
    return table


def _difference(row: Json | None) -> str:
    if row is None:
        return "–"
    low, high = 100 * row["low"], 100 * row["high"]
    return f"{100 * row['difference']:+.1f} [{low:+.1f}, {high:+.1f}] {row['verdict']}"
