"""Summary of the demo's run (transition, kept checkpoint, savings), as JSON and as text."""

from typing import Any

from rich.console import Console
from rich.table import Table

from cusp.cli.support.output import interval, percent
from cusp.client import Client

Json = dict[str, Any]


def summarised(client: Client, run_id: str, seconds: dict[str, float]) -> Json:
    """Return the summary of an ended run; scores are those of the report set."""
    run = client.get(f"/runs/{run_id}")
    scores = client.get(f"/runs/{run_id}/evaluations")
    stopped = run["status"] == "stopped"
    kept = run["checkpoints"].get("pre-transition")
    best = run["checkpoints"].get("best")
    return {
        "run_id": run_id,
        "url": f"{client.page_url}/runs/{run_id}",
        "name": run["name"],
        "status": run["status"],
        "phase": run["phase"],
        "words": run["words"],
        "max_steps": run["max_steps"],
        "last_step": run["step"],
        "stopped_at_step": run["step"] if stopped else None,
        "transition": _transition(run),
        "kept_checkpoint_step": kept["step"] if kept else None,
        "best_checkpoint_step": best["step"] if best else None,
        "candidates": [
            _candidate(one) for one in scores["evaluations"] if one["split"] == "report"
        ],
        "comparison": scores["comparison"],
        "saved_fraction": run["saved_fraction"] or 0.0,
        "elapsed_s": run["elapsed_s"],
        "spent_usd": run["spent_usd"],
        "seconds": seconds,
    }


def print_summary(out: Console, result: Json) -> None:
    """Print the summary for a person."""
    out.print()
    out.rule("[bold]Cusp summary", align="left")
    found = result["transition"]
    if found is None:
        out.print(f"No format phase transition was confirmed. {result['words']}")
    else:
        out.print(
            f"Transition at step [bold]{found['step']}[/] (likely {found['low']}-{found['high']}),"
            f" seen at step {found['seen_at_step']}."
        )
    out.print(_ending(result))
    out.print(_table(result))
    comparison = result["comparison"] or {}
    if comparison.get("reason"):
        out.print(comparison["reason"])
    out.print(
        "Seconds: " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in result["seconds"].items())
    )
    out.print(f"Page: [bold]{result['url']}[/]")


def _transition(run: Json) -> Json | None:
    found = run["transition"]
    if not found or found["state"] != "confirmed":
        return None
    return {key: found[key] for key in ("step", "low", "high", "safe_step", "seen_at_step")}


def _candidate(one: Json) -> Json:
    score = {key: one[key] for key in ("pass_at_1", "low", "high")}
    return {"role": one["roles"][0], "roles": one["roles"], "step": one["step"], **score,
            "n": one["n_problems"]}  # fmt: skip


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
    for column in ("step", "candidate", "pass@1 on the report set", "against the reference", ""):
        table.add_column(column)
    compared = {row["step"]: row for row in (result["comparison"] or {}).get("rows", [])}
    for one in result["candidates"]:
        marks = {"kept": result["kept_checkpoint_step"], "best": result["best_checkpoint_step"]}
        table.add_row(
            str(one["step"]),
            ", ".join(one["roles"]),
            interval(one),
            _difference(compared.get(one["step"])),
            " ".join(name for name, step in marks.items() if step == one["step"]),
        )
    return table


def _difference(row: Json | None) -> str:
    if row is None:
        return "–"
    low, high = 100 * row["low"], 100 * row["high"]
    return f"{100 * row['difference']:+.1f} [{low:+.1f}, {high:+.1f}] {row['verdict']}"
