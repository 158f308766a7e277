"""JSON encoding of a run's latest verdict, as stored in its row."""

from typing import Any

from monitor.detector import Evidence, Transition, Verdict
from monitor.store.verdicts import LEVEL


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
