"""JSON encoding of a run's latest verdict, as stored in its row."""

from collections.abc import Iterable, Mapping
from typing import Any

from cusp.verification.sequential import Comparison
from monitor.detector import Evidence, Transition, Verdict
from monitor.policy import keep_best
from monitor.store.verdicts import LEVEL

# Of a stored verdict: what the detector said of a transition that a person dismissed.
_FOUND = "found"
HELD_OUT = "held_out"  # beside the verdict: monitor/runs/sentence.py puts it first
_OF_TRANSITION = ("turning", "past")  # phases that are of the transition alone
_DISMISSED = "A person dismissed the transition suspected at step {step} (likely {low}–{high})."


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as a JSON object, without its change points, which have their own table."""
    return {
        "step": verdict.step,
        "phase": verdict.phase,
        "score": verdict.score,
        "watch": verdict.watch,
        "confirm": verdict.confirm,
        "level": verdict.level,
        "words": verdict.words,
        "evidence": [vars(one) for one in verdict.evidence],
        "transition": vars(verdict.transition) if verdict.transition else None,
    }


def from_json(stored: dict[str, Any]) -> Verdict:
    """Return the verdict that `as_json` stored."""
    transition = stored["transition"]
    return Verdict(
        **{key: stored[key] for key in ("step", "phase", "score", "watch", "confirm", "words")},
        evidence=tuple(Evidence(**one) for one in stored["evidence"]),
        change_points=(),
        transition=Transition(**transition) if transition else None,
        level=stored.get("level"),
    )


def told(stored: dict[str, Any], change_points: Iterable[Any]) -> dict[str, Any]:
    """Return the stored verdict as a person's word on the run's change points leaves it.

    A transition of a change point that was dismissed is `dismissed`, and neither phase nor words speak of it any
    more; what they were stays under `found`, for a person who takes the word back.
    """
    own = {**stored, **stored.get(_FOUND, {})}
    own.pop(_FOUND, None)
    transition = own["transition"]
    if not transition or not is_dismissed(Transition(**transition), change_points):
        return own
    hidden: dict[str, Any] = {"transition": {**transition, "state": "dismissed"}}
    if own["phase"] in _OF_TRANSITION:
        hidden |= {"phase": "adapted", "words": _DISMISSED.format(**transition)}
    return {**own, **hidden, _FOUND: {name: own[name] for name in hidden}}


def with_held_out(
    stored: Mapping[str, Any], newest_worse: tuple[int, Iterable[Mapping[str, Any]]] | None
) -> dict[str, Any]:
    """Return the stored verdict with the sentence on the newest weights, if held-out problems found them worse."""
    own = {name: value for name, value in stored.items() if name != HELD_OUT}
    if newest_worse is None:
        return own
    step, compared = newest_worse
    return {**own, HELD_OUT: keep_best.worse_words(step, [Comparison(**one) for one in compared])}


def is_dismissed(transition: Transition, change_points: Iterable[Any]) -> bool:
    """Return whether a person has dismissed the change points that the transition rests on."""
    return any(
        row.state == "dismissed" and row.low <= transition.high and transition.low <= row.high
        for row in change_points
        if row.kind in ("length_turn", "destabilisation")
    )


def confirmed(transition: Transition | None) -> Transition | None:
    """Return the transition if it is confirmed."""
    return transition if transition and transition.state == "confirmed" else None


def stored_level(verdict: Verdict) -> dict[str, float | None]:
    """Return what a verdict's row keeps of its level: nothing where it is the preset's `confirm`, as nearly always.

    It stands beside the evidence under a name that no metric of the detector has (`verdicts.LEVEL`).
    """
    if verdict.level == verdict.confirm:
        return {}
    return {LEVEL: None if verdict.level is None else round(verdict.level, 3)}
