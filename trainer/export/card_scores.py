"""The evaluation part of a model card: scores by task, paired differences, what is not distinguishable, the choice."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.export.tables import table

Record = Mapping[str, Any]
HEAD = ("task", "set", "pass@1", "problems like these", "this set", "n x k", "judge", "cut off")
NOT_TOLD = "not told"


def scores_of(checkpoint: Record, evaluations: Sequence[Record]) -> list[Record]:
    """Return the evaluations of a checkpoint, the report set first."""
    own = [
        each
        for each in evaluations
        if each.get("checkpoint_id") == checkpoint.get("id") is not None
    ]
    return sorted(own, key=lambda each: (each["split"] != "report", str(each["task"])))


def evaluation_part(
    checkpoint: Record, evaluations: Sequence[Record], comparison: Record | None
) -> str:
    """Return the part of the card in Markdown; `evaluations` and `comparison` as REST returns them."""
    own = scores_of(checkpoint, evaluations)
    if not own:
        return "## Evaluation\n\nThis checkpoint was not evaluated."
    parts = [f"## Evaluation\n\n{table(HEAD, [_line(each) for each in own])}", _reading(own)]
    if comparison is not None:
        parts += [_compared(own[0]["step"], comparison), _chosen(comparison)]
    return "\n\n".join(part for part in parts if part)


def _line(scored: Record) -> tuple[str, ...]:
    return (
        str(scored["task"]),
        str(scored["split"]),
        f"{scored['pass_at_1']:.3f}",
        _span(scored.get("low"), scored.get("high")),
        "at most " * bool(scored.get("fixed_bound"))
        + _span(scored.get("fixed_low"), scored.get("fixed_high")),
        f"{scored['n_problems']} x {scored.get('samples_per_problem') or NOT_TOLD}",
        str(scored.get("preset") or NOT_TOLD),
        _share(scored.get("truncated_share")),
    )


def _span(low: float | None, high: float | None) -> str:
    """Return the ends of a 95 % interval of a fraction."""
    return NOT_TOLD if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _share(value: float | None) -> str:
    return NOT_TOLD if value is None else f"{value:.1%}"


def _reading(own: Sequence[Record]) -> str:
    """Return how to read the table, with what was brought by others named."""
    brought = sorted(
        {str(each["source"]) for each in own if each.get("source", "worker") != "worker"}
    )
    said = (
        "Both intervals are of 95 %: for problems like these (the error of drawing problems and samples), and for"
        " this fixed set (that of sampling only). n problems, k samples each; what the judge could not decide"
        " counts as wrong."
    )
    if any(each.get("fixed_bound") for each in own):
        said += (
            " With one sample a problem the latter is a bound, at most this wide: it takes two to tell the error of"
            " sampling from the spread between problems."
        )
    errors = sum(each.get("errors") or 0 for each in own)
    undecided = (
        f" Undecided: {errors} of {sum(each.get('n_samples') or 0 for each in own)} samples."
        if errors
        else ""
    )
    by = f" Not scored by a worker of Cusp: {', '.join(brought)}." if brought else ""
    return said + undecided + by


def _compared(step: int, comparison: Record) -> str:
    """Return the differences that concern this checkpoint: all rows if it is the reference, else its own."""
    reference, rows = comparison["reference"], comparison["rows"]
    is_reference = step == reference["step"]
    told = rows if is_reference else [row for row in rows if row["step"] == step]
    if not told:
        return ""
    against = (
        "this checkpoint" if is_reference else f"step {reference['step']} ({reference['role']})"
    )
    lines = [line for row in told for line in _rows(row)]
    head = ("candidate", "task", "difference", "95 %", "verdict", "would be found")
    alpha = comparison.get("alpha")
    corrected = (
        f" Better and worse are after Holm's correction, at {alpha:.0%} in all;"
        " a difference as large as the last column would be found 4 times of 5."
        if alpha is not None
        else ""
    )
    unsure = [row for row in told if row["verdict"] == "not distinguishable"]
    named = ", ".join(_name(row) for row in unsure)
    who = f"Not distinguishable from {against}: {named if is_reference else 'this checkpoint'}."
    return (
        f"### Compared with {against}\n\nPaired differences in pass@1, in points.{corrected}\n\n"
        f"{table(head, lines)}" + (f"\n\n{who}" if unsure else "")
    )


def _rows(row: Record) -> list[tuple[str, ...]]:
    """Return the line over all tasks, and one for each task where there are several."""
    every = [("all", row), *((str(each["task"]), each) for each in row.get("tasks") or ())]
    return [
        (
            _name(row),
            task,
            _points(each["difference"]),
            f"{_points(each.get('low'))} to {_points(each.get('high'))}",
            _verdict(each),
            _points(each.get("mde")).removeprefix("+"),
        )
        for task, each in every
    ]


def _name(row: Record) -> str:
    place = "base model" if row["step"] == 0 else f"step {row['step']}"
    roles = [role for role in row.get("roles") or () if role != "base"]
    return f"{place} ({', '.join(roles)})" if roles else place


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f}"


def _verdict(row: Record) -> str:
    return (
        f"{row['verdict']}, equal within the margin"
        if row.get("equivalent")
        else str(row["verdict"])
    )


def _chosen(comparison: Record) -> str:
    """Return how the best checkpoint was chosen."""
    if comparison.get("named"):
        return "The checkpoints compared were named by a person: the comparison chooses none."
    margin = comparison.get("margin")
    rule = (
        "The candidates were fixed before any was scored and ranked on the selection set; the reference is left only"
        " for one that is better on the report set"
    )
    stated = f" (equal: within {100 * margin:g} points)" if margin else ""
    return f"### How it was chosen\n\n{comparison.get('reason') or ''} {rule}{stated}.".replace(
        "\n\n ", "\n\n"
    )
