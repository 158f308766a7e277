"""Summary of the rejected parts of a run's messages, for the page and the trainer. Bounded, pure.

The messages themselves are in the quarantine; the summary has metric names, reasons and counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cusp.protocol.messages import Refusal
from cusp.protocol.salvage import Part

MOST_NAMES = 50  # a run may invent names without end; further ones are only counted
MOST_FIELDS = 50
MOST_SENTENCES = 10
REASON_LENGTH = 500
Json = dict[str, Any]


def noted(
    before: Mapping[str, Any] | None, parts: Iterable[tuple[int, Part]], unknown: Iterable[str]
) -> Json:
    """Return the summary extended by new (step, part)s and unknown fields.

    `metrics` has {name: {reason, count, step}} of the first names, `more` counts the others, `fields` has
    {field of a newer client: count}, `start` sentences about the announcement.
    """
    made = {"metrics": {}, "more": 0, "fields": {}, "start": [], **(before or {})}
    metrics, fields = dict(made["metrics"]), dict(made["fields"])
    for step, part in parts:
        name = _shown(part.name) or part.kind
        known = metrics.get(name)
        if known is None and len(metrics) >= MOST_NAMES:
            made["more"] += 1
            continue
        count = known["count"] + 1 if known else 1
        metrics[name] = {"reason": _shown(part.reason, REASON_LENGTH), "count": count, "step": step}
    for field in map(_shown, unknown):
        if field in fields or len(fields) < MOST_FIELDS:
            fields[field] = fields.get(field, 0) + 1
    return {**made, "metrics": metrics, "fields": fields}


def announced(
    before: Mapping[str, Any] | None, parts: Sequence[Part], unknown: Iterable[str]
) -> Json | None:
    """Return the summary with the rejected parts of an announcement, None if it is empty."""
    if not parts and not unknown:
        return dict(before) if before else None
    made = noted(before, (), unknown)
    said = [_shown(part.reason, REASON_LENGTH) for part in parts]
    return {**made, "start": list(dict.fromkeys([*made["start"], *said]))[:MOST_SENTENCES]}


def refusals(parts: Iterable[Part]) -> list[Refusal] | None:
    """Return the refusals for the trainer: for each kind the first sentence and the count."""
    found: dict[str, Refusal] = {}
    for part in parts:
        known = found.get(part.kind)
        count = known.count + 1 if known else 1
        reason = known.reason if known else _shown(part.reason, REASON_LENGTH)
        found[part.kind] = Refusal(kind=part.kind, reason=reason, count=count)
    return list(found.values()) or None


def shown(stored: Mapping[str, Any] | None) -> Json:
    """Return the `LeftOut` of docs/reference/rest.md."""
    made = {"metrics": {}, "more": 0, "fields": {}, "start": [], **(stored or {})}
    metrics = [{"name": name, **one} for name, one in made["metrics"].items()]
    return {**made, "metrics": sorted(metrics, key=lambda one: -one["count"])}


def _shown(text: str, most: int = 200) -> str:
    r"""Return the text truncated, with control characters escaped, for a page or terminal.

    >>> _shown("grad\tnorm")
    'grad\\tnorm'
    """
    clean = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text[: most + 1]
    )
    return clean if len(clean) <= most else clean[: most - 1] + "…"
