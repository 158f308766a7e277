"""What the verdict card and the banner of a proposal say, and which sentences a page has said already."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from webui import format
from webui.descriptions import ENDED, verification

Record = Mapping[str, Any]

_BETWEEN = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")  # patch.js:headline splits alike
_DATED = (
    "length_turn",
    "destabilisation",
)  # what a transition rests on, as monitor/actions/decisions.py says
_PENDING = ("open", "delivered", "agreed")
IF_CONFIRMED: Mapping[str, str] = {
    "stop": "the last safe checkpoint is kept and the run is stopped",
    "propose": "the last safe checkpoint is kept and stopping is proposed to you",
    "watch": "the last safe checkpoint is kept; the run goes on",
}


def sentences(text: str | None) -> list[str]:
    """Return the sentences of a text.

    >>> sentences("By step 4 it fell from 0.9 to 0.5. Evidence 40.")
    ['By step 4 it fell from 0.9 to 0.5.', 'Evidence 40.']
    """
    return _BETWEEN.split(text.strip()) if text and text.strip() else []


def headline(run: Record) -> str:
    """Return the one sentence of a run's header: the verdict's first, else the phase in words."""
    said = run.get("words") or run.get("phase_description")
    return sentences(str(said))[0] if said else format.UNKNOWN


def more(run: Record) -> str:
    """Return the verdict's other sentences but for the sum of the evidence, which the card draws; "" without any."""
    rest = sentences(run.get("words"))[1:]
    return " ".join(one for one in rest if not one.startswith("Evidence "))


def unsaid(text: str | None, run: Record) -> str:
    """Return the sentences of a reason that the verdict does not say already.

    >>> unsaid("It fell. Step 5 is kept.", {"words": "It fell. Evidence 40."})
    'Step 5 is kept.'
    """
    known = set(sentences(run.get("words") or run.get("phase_description")))
    return " ".join(one for one in sentences(text) if one not in known)


def follows(run: Record) -> str:
    """Return what was decided and how far it is carried out, or what the policy will do."""
    decisions = run.get("decisions") or ()
    kept = [d for d in decisions if d["kind"] == "keep"]
    said = [_kept(kept[-1])] if kept else []
    stops = [c for c in run.get("commands") or () if c["kind"] == "stop"]
    if stops:
        said.append(_stop(stops[-1]))
    elif proposal(run):
        said.append("Stopping is proposed and waits for a person.")
    elif not kept and run["status"] not in ENDED:
        action = (run.get("policy") or {}).get("action", "stop")
        said.append(f"Nothing yet. On a confirmed transition {IF_CONFIRMED.get(action, action)}.")
    elif not kept:
        said.append("Nothing followed.")
    return " ".join(said)


def _kept(decision: Record) -> str:
    step = decision.get("checkpoint_step")
    return f"Checkpoint {format.whole(step)} is kept." if step is not None else "Nothing was kept."


def _stop(command: Record) -> str:
    step, state = command.get("step"), command["state"]
    if state == "done":
        at = f" at step {format.whole(step)}" if step is not None else ""
        return f"The trainer stopped{at}."
    if state in _PENDING:
        return f"A stop was asked for; the trainer has not done it yet ({state})."
    return f"A stop was asked for but {'was ' if state == 'refused' else ''}{state}."


# States of a verification (docs/reference/rest.md): with scores, and over without.
_OUTCOMES = ("worse", "not_worse", "undecided", "superseded")
_UNANSWERED = {"failed": "failed", "refused": "was refused", "expired": "expired"}


def verified(found: Record | None) -> str:
    """Return the outcome of the newest verification, or that none was made."""
    made: Sequence[Record] = (found or {}).get("verifications") or ()
    if not made:
        return "No verification was made."
    newest = made[0]
    step = newest.get("measured_step")
    step = newest.get("step") if step is None else step
    if (state := newest["state"]) not in _OUTCOMES:
        return f"The verification of step {format.whole(step)} {_UNANSWERED.get(state, 'is under way')}."
    said = f"Held-out problems, step {format.whole(step)}: {verification(state)}"
    compared = newest.get("comparisons") or ()
    if not compared:
        return f"{said}."
    worst = min(compared, key=lambda one: one["difference"])
    gap = f"{format.points(worst['difference'])} points"
    span = f"{format.points(worst['low'])} to {format.points(worst['high'])}"
    return f"{said}; {gap} to step {format.whole(worst['step'])} ({span})."


def proposal(run: Record) -> dict[str, Any] | None:
    """Return the open proposal to stop: reason, step of the kept checkpoint, change points to dismiss; else None.

    It is open while the run trains, nobody has asked for a stop, and a change point that it rests on stands.
    """
    made = [d for d in run.get("decisions") or () if d["kind"] == "propose"]
    if not made or run.get("deleted_at") or run["status"] not in ("running", "lost"):
        return None
    asked = [c for c in run.get("commands") or () if c["kind"] == "stop"]
    if any(c["state"] in (*_PENDING, "done") for c in asked):
        return None
    points = _standing(run, run.get("change_points") or ())
    if not points:
        return None
    return {
        "reason": unsaid(made[-1].get("reason"), run),
        "checkpoint_step": made[-1].get("checkpoint_step"),
        "change_points": points,
    }


def _standing(run: Record, points: Iterable[Record]) -> list[str]:
    """Return the ids of the change points that the transition rests on and that no person dismissed."""
    found = run.get("transition") or {}
    low, high = found.get("low", 0), found.get("high", 2**53)
    return [
        str(one["id"])
        for one in points
        if one["kind"] in _DATED
        and one["state"] not in ("dismissed", "faded", "refuted")
        and one["low"] <= high
        and low <= one["high"]
    ]
