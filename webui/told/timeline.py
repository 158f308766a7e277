"""The timeline of a run: decisions, commands and acts as one list, each reason told once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from webui import format
from webui.told.verdict_words import sentences

Record = Mapping[str, Any]

TIMES = (("open", "created_at"), ("delivered", "delivered_at"), ("agreed", "agreed_at"))
_OF = {"stop": ", keeping", "verify": " against", "propose": " to stop, keeping"}
_DECIDED = ("keep", "stop")  # acts of the policy that stand as decisions already


def timeline(run: Record, audit: Iterable[Record]) -> list[dict[str, Any]]:
    """Return the entries by time: kind (decision, command, act), what, at, who, step, text, details, states.

    A sentence that the verdict or an earlier entry says is not said again.
    """
    entries = [
        *(_decision(one) for one in run.get("decisions") or ()),
        *(_command(one) for one in run.get("commands") or ()),
        *(_act(one) for one in audit if not _is_decision(one)),
    ]
    said = set(sentences(run.get("words") or run.get("phase_description")))
    ordered = sorted(entries, key=lambda one: one["at"] or "")
    for one in ordered:
        new = [sentence for sentence in sentences(one["text"]) if sentence not in said]
        one["text"] = " ".join(new)
        said.update(new)
    return ordered


def asked_for(kind: str, steps: Sequence[int]) -> str:
    """Return what a decision or a command asks for, of the checkpoints of these steps.

    >>> asked_for("stop", [30]), asked_for("verify", [10, 20]), asked_for("keep", [40])
    ('stop, keeping checkpoint 30', 'verify against checkpoints 10, 20', 'keep checkpoint 40')
    """
    if not steps or kind == "evaluate":  # of an evaluation the reason names the candidates
        return kind
    named = f"checkpoint{'s' if len(steps) > 1 else ''} {', '.join(map(str, steps))}"
    return f"{kind}{_OF.get(kind, '')} {named}"


def _is_decision(act: Record) -> bool:
    return act.get("actor") == "policy" and act.get("action") in _DECIDED


def _decision(one: Record) -> dict[str, Any]:
    step = one.get("checkpoint_step")
    what = asked_for(one["kind"], [] if step is None else [step])
    return _entry(
        "decision", what, one["created_at"], one.get("author"), one.get("step"), one.get("reason")
    )


def _command(one: Record) -> dict[str, Any]:
    what = asked_for(one["kind"], one.get("steps") or ())
    reached = [{"name": name, "at": one[key]} for name, key in TIMES if one.get(key)]
    if one["state"] in ("done", "refused", "expired"):
        reached.append({"name": one["state"], "at": one.get("done_at")})
    found = _entry(
        "command", what, one["created_at"], one.get("author"), one.get("step"), one.get("reason")
    )
    return {**found, "states": reached, "note": one.get("state_reason")}


def _act(one: Record) -> dict[str, Any]:
    detail = {k: v for k, v in (one.get("detail") or {}).items() if v is not None}
    reason, before = (
        detail.pop("reason", None) or detail.pop("words", None),
        detail.pop("before", None),
    )
    found = _entry("act", one.get("action"), one.get("at"), one.get("actor"), None, reason)
    details = list(detail.items())
    if isinstance(before, Mapping):
        details = [(k, f"{_value(was)} → {_value(detail.get(k))}") for k, was in before.items()]
    return {**found, "target": one.get("target"), "details": details}


def _value(value: Any) -> str:
    """Return what was told of a run, tags with commas between them; a dash for nothing."""
    return format.text(", ".join(map(str, value)) if isinstance(value, list) else value)


def _entry(kind: str, what: Any, at: Any, who: Any, step: Any, text: Any) -> dict[str, Any]:
    told = {"kind": kind, "what": what, "at": at, "who": who, "step": step}
    return {
        **told,
        "text": str(text or ""),
        "states": [],
        "note": None,
        "target": None,
        "details": [],
    }
