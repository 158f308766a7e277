"""Sentences on transition, evidence and evaluation, and the text alternatives of the charts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from webui import format
from webui.charts.series import by_name, pairs

Record = Mapping[str, Any]

ENDED = ("stopped", "finished", "failed")


def transition(run: Record, verdicts: Record | None) -> str:
    """Return a paragraph on the transition, or on why there is none."""
    found = run.get("transition")
    if not found:
        return no_transition(run, verdicts)
    since = f"step {found['step']} (likely {found['low']}–{found['high']})"
    safe = safe_words(found)
    if found["state"] == "dismissed":
        return f"A transition was suspected at {since}. A person dismissed it."
    if found["state"] == "provisional" and run["status"] in ENDED:
        return (
            f"The run may have been turning since {since}; it ended before that was certain.{safe}"
        )
    if found["state"] == "provisional":
        return (
            f"By step {last_judged(run, verdicts)} the run may be turning since {since}."
            f" Not confirmed: more evidence is needed.{safe}"
        )
    again = " The estimate was revised since." if found["state"] == "revised" else ""
    return (
        f"The run left its good regime at {since}; this was certain enough to act on "
        f"at step {found['seen_at_step']}.{again}{safe}"
    )


VERIFICATION_WORDS: Mapping[str, str] = {
    "open": "waits for the trainer",
    "delivered": "the trainer has heard it",
    "agreed": "being scored",
    "queued": "waits for a worker",
    "leased": "being scored",
    "worse": "worse",
    "not_worse": "not worse",
    "undecided": "undecided",
    "superseded": "superseded",
    "refused": "refused",
    "expired": "expired",
    "failed": "failed",
}


def verification(state: str) -> str:
    """Return the state of a verification in words.

    >>> verification("not_worse")
    'not worse'
    """
    return VERIFICATION_WORDS.get(state, state)


def safe_words(found: Record) -> str:
    """Return the sentence on the last step before the transition."""
    step = found.get("safe_step")
    return f" The last step held to be safe is {step}." if step is not None else ""


def no_transition(run: Record, verdicts: Record | None) -> str:
    """Return why there is no transition to show."""
    if not verdicts or not verdicts["steps"]:
        return "No step was judged." if run["status"] in ENDED else "No step has been judged yet."
    step = last_judged(run, verdicts)
    if run["status"] in ENDED:
        return f"No transition was found in this run; its last step judged is {step}."
    return f"No transition is seen by step {step}."


def last_judged(run: Record, verdicts: Record | None) -> int | str:
    """Return the step of the last verdict, to which statements on the present refer."""
    if verdicts and verdicts["steps"]:
        return int(verdicts["steps"][-1])
    step = run.get("step")
    return format.UNKNOWN if step is None else int(step)


def evidence_at(run: Record, verdicts: Record | None) -> dict[str, Any] | None:
    """Return the evidence at the step that confirmed the transition, else at the latest step.

    Keys: step, score, watch, confirm, parts [(metric, score)] (largest first), words.
    """
    if not verdicts or not verdicts["steps"]:
        return None
    index = _settled_index(run, verdicts["steps"])
    parts = [(name, column[index] or 0.0) for name, column in verdicts["evidence"].items()]
    parts = sorted([p for p in parts if p[1] > 0], key=lambda p: -p[1])
    score = verdicts["scores"][index]
    step = verdicts["steps"][index]
    return {
        "step": step,
        "score": score,
        "watch": verdicts.get("watch"),
        "confirm": verdicts.get("confirm"),
        "parts": parts,
        "words": evidence_words(step, score, parts, verdicts),
    }


def _settled_index(run: Record, steps: Sequence[int]) -> int:
    found = run.get("transition")
    if found and found["state"] in ("confirmed", "revised") and found["seen_at_step"] in steps:
        return list(steps).index(found["seen_at_step"])
    return len(steps) - 1


def evidence_words(
    step: int, score: float | None, parts: Iterable[tuple[str, float]], verdicts: Record
) -> str:
    """Return text like `Evidence at step 440: 52 (format 31, length 21). Cusp watches from 20 and ...`"""
    each = ", ".join(
        f"{format.short_metric(name)} {format.number(value, 2)}" for name, value in parts
    )
    total = format.number(score, 2) + (f" ({each})" if each else "")
    limits = [verdicts.get("watch"), verdicts.get("confirm")]
    watch, confirm = (f"{v:g}" if format.is_number(v) else format.UNKNOWN for v in limits)
    asked = f"Cusp watches from {watch} and confirms at {confirm}, once enough points have followed"
    return f"Evidence at step {step}: {total}. {asked}."


def charts(series: Iterable[Record], run: Record, verdicts: Record | None) -> str:
    """Return the text alternative of the four charts."""
    known = by_name(series)
    names = ("format_reward", "completion_length", "accuracy_reward")
    said = [sentence for name in names if (sentence := course(name, known.get(name)))]
    if not known:
        return "Charts of the run; no step of it was received."
    if not said:
        none = "Of format reward, completion length and accuracy reward none is logged."
        return f"Charts over the optimiser step. {none}"
    return " ".join(["Charts over the optimiser step.", *said, transition(run, verdicts)])


def course(name: str, one: Record | None) -> str:
    """Return a sentence on a metric's first, last and extreme values."""
    steps, values = pairs(one)
    if not steps:
        return ""
    low, high = min(values), max(values)
    return (
        f"{format.metric(name).capitalize()} went from {format.number(values[0])} at step {steps[0]} "
        f"to {format.number(values[-1])} at step {steps[-1]}, lowest {format.number(low)} at step "
        f"{steps[values.index(low)]}, highest {format.number(high)} at step {steps[values.index(high)]}."
    )


def evaluation_blocked(run: Record) -> str:
    """Return why there are no scores, and how to get them."""
    if run.get("evaluation_blocked"):
        return f"Nothing is evaluated: {str(run['evaluation_blocked']).rstrip('.')}."
    by_hand = "Nothing has been evaluated. Evaluate scores the candidates on held-out problems."
    if run["status"] in ENDED or (run.get("policy") or {}).get("evaluate") == "none":
        return by_hand
    return (
        "Nothing has been evaluated yet. The candidates are scored on held-out problems once the run"
        " has stopped or finished, or when you press Evaluate."
    )


BOUND = "At most: one sample a problem does not tell the error of sampling from the spread between problems; two would."


def comparison_head(compared: Record) -> str:
    """Return what the rows of a comparison are, and what it was to find."""
    reference = compared["reference"]
    said = (
        f"Paired difference in pass@1 to {roles(reference.get('role'))} (step {reference['step']}),"
        f" {compared['task']}, {compared['split']} set; the bar is the 95 % interval"
    )
    if compared.get("named"):
        said = f"Of the checkpoints named only, which move best nowhere. {said}"
    if compared.get("alpha") is None:
        return f"{said}."
    planned = compared.get("planned_mde")
    before = (
        f" Before scoring, a difference of about {100 * planned:.1f} points was to be found 4 times of 5."
        if planned
        else ""
    )
    at_most = (
        ", at most: one sample a problem"
        if any(row.get("fixed_bound") for row in compared["rows"])
        else ""
    )
    return (
        f"{said} for problems like these, with the error over problems; “this set” is for this fixed set, with the"
        f" error of sampling only{at_most}. Better and worse are after Holm's correction for all rows, at"
        f" {100 * compared['alpha']:.0f} % in all{_levels(compared)}.{before}"
    )


def _levels(compared: Record) -> str:
    """Return at most which adjusted p a verdict needs on each set, "" where that is the whole error."""
    levels = {row.get("split"): row.get("level") for row in compared["rows"]}
    if not any(level and level != compared["alpha"] for level in levels.values()):
        return ""
    said = (
        f"{levels[name]:.3g} on the {name} set"
        for name in ("selection", "report")
        if levels.get(name)
    )
    return f": p at most {' and '.join(said)}"


def comparison(row: Record, reference: Record) -> str:
    """Return a sentence on one row of the paired comparison."""
    gap = f"{format.points(row['difference'])} points"
    span = f"95 % {format.points(row['low'])} to {format.points(row['high'])}"
    if row.get("p_adjusted") is not None:
        span += f", p {row['p_adjusted']:.2g} after Holm"
    against = f"{roles(reference.get('role'))} (step {reference.get('step')})"
    if row["verdict"] == "not distinguishable":
        seen = f"; a gap of {100 * row['mde']:.1f} would have been seen" if row.get("mde") else ""
        return f"Not distinguishable from {against}: {gap} ({span}){seen}."
    return f"{row['verdict'].capitalize()} than {against}: {gap} ({span})."


def roles(value: str | Sequence[str] | None) -> str:
    """Return the roles of a candidate as one text."""
    if not value:
        return format.UNKNOWN
    return value if isinstance(value, str) else ", ".join(value)


def choice(compared: Record | None, checkpoints: Iterable[Record]) -> str:
    """Return the choice of the signals, the choice of the evaluation, and the comparison's reason."""
    held = {alias: c["step"] for c in checkpoints for alias in c["aliases"]}
    chosen = (compared or {}).get("best") or {}
    signal, best = held.get("pre-transition"), held.get("best", chosen.get("step"))
    reason = (compared or {}).get("reason")
    return " ".join(part for part in (_agreement(signal, best), reason) if part)


def _agreement(signal: int | None, best: int | None) -> str:
    if signal is None and best is None:
        return ""
    if best is None:
        return f"The training signals say checkpoint {signal}; it has not been compared yet."
    if signal is None:
        return f"The evaluation says {place(best)}."
    if signal == best:
        return f"The training signals and the evaluation agree on checkpoint {best}."
    return (
        f"The training signals say checkpoint {signal} (pre-transition), "
        f"the evaluation says {place(best)} (best)."
    )


def place(step: int) -> str:
    """Return the display name of a candidate's step; step 0 is the model before training."""
    return "the base model" if step == 0 else f"checkpoint {step}"
