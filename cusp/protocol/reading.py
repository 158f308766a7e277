"""Lenient parser of wire messages: rejects the invalid parts and keeps the rest.

One invalid metric name must not cost every step of a training its format reward: a point keeps its valid
metrics, and each rejected one is named with the reason.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from cusp.protocol.fields import (
    MAX_INTEGER,
    MAX_METRICS,
    MAX_NAME_LENGTH,
    MAX_SKIPPED,
    MAX_STEP,
    Wire,
    first_problem,
)
from cusp.protocol.messages import (
    AckMessage,
    BoundaryMessage,
    CheckpointMessage,
    Command,
    Message,
    PointMessage,
    Refusal,
    Reply,
    SampleMessage,
    StatusMessage,
    VerificationMessage,
)
from cusp.protocol.run import RunStart
from cusp.protocol.salvage import Part, Salvaged, salvaged
from cusp.protocol.scored import EvaluationMessage
from cusp.roles.priority import by_rank
from cusp.run_config import storable_config

MOST_NAMED = 100  # rejected metrics of a point that are named; further ones are only counted
_OTHERS: dict[str, type[Wire]] = {
    "checkpoint": CheckpointMessage,
    "ack": AckMessage,
    "sample": SampleMessage,
    "status": StatusMessage,
    "boundary": BoundaryMessage,
    "verification": VerificationMessage,
    "evaluation": EvaluationMessage,
}
_POINT_FIELDS = frozenset(PointMessage.model_fields)


class Read(NamedTuple):
    """A parsed message without its invalid parts; if it is None, `refused` says why."""

    message: Message | None
    refused: tuple[Part, ...] = ()
    unknown: tuple[str, ...] = ()


def read_message(raw: object) -> Read:
    """Return the message in `raw`, and its rejected parts.

    Points are by far the most messages and are validated by hand, in one pass over the values.

    >>> read_message({"kind": "point", "step": 3, "metrics": {"reward": 0.5}}).message
    PointMessage(kind='point', step=3, metrics={'reward': 0.5}, skipped=0, at=None)
    >>> read_message({"kind": "point", "step": 3, "metrics": {"reward": float("nan")}}).refused[0].reason
    "metric 'reward' is nan at step 3; leave a value that was not measured out"
    """
    if not isinstance(raw, Mapping):
        return _refused(f"a message must be an object with a kind, not {type(raw).__name__}")
    kind = raw.get("kind")
    if kind == "point":
        return _read_point(raw)
    model = _OTHERS.get(kind) if isinstance(kind, str) else None
    if model is None:
        known = ", ".join(("point", *_OTHERS))
        return _refused(f"a message of the kind {kind!r:.80} is unknown here; known are {known}")
    try:
        return Read(*salvaged(model, raw))  # the model, refused parts, unknown fields
    except ValidationError as error:
        return _refused(first_problem(error))


def read_start(raw: Mapping[str, Any]) -> Salvaged:
    """Return the announcement of a run without its invalid parts; ValidationError when none is left.

    The config is first made storable.
    """
    try:
        return Salvaged(RunStart.model_validate(raw), (), ())
    except ValidationError as error:
        wrong = [one for one in error.errors(include_url=False) if one["loc"][:1] == ("config",)]
    config = raw.get("config")
    if not wrong or not isinstance(config, Mapping):
        return salvaged(RunStart, raw)
    found = salvaged(RunStart, {**raw, "config": storable_config(config)})
    part = Part("field", "config", f"config: {wrong[0]['msg']}; it was made plain JSON")
    return found._replace(refused=(part, *found.refused))


def read_reply(content: bytes) -> tuple[Reply, list[str]]:
    """Return the monitor's reply, and a sentence for each unknown command of a newer monitor.

    ValidationError when the content is not a reply.
    """
    try:
        return Reply.model_validate_json(content), []
    except ValidationError as error:
        first = error
    try:
        raw = json.loads(content)
    except ValueError:
        raise first from None
    if not isinstance(raw, dict):
        raise first
    commands, unknown = _known(Command, raw.get("commands"))
    refused, _ = _known(Refusal, raw.get("refused"))
    reply = Reply(next_seq=raw.get("next_seq"), commands=commands, refused=refused)  # type: ignore[arg-type]
    return reply, unknown


def _known(model: Any, raw: object) -> tuple[list[Any], list[str]]:
    found, problems = [], []
    for one in raw if isinstance(raw, list) else []:
        try:
            found.append(model.model_validate(one))
        except ValidationError as error:
            problems.append(first_problem(error))
    return found, problems


def _refused(reason: str) -> Read:
    return Read(None, (Part("message", "", reason),))


def _read_point(raw: Mapping[str, Any]) -> Read:
    step, metrics = raw.get("step"), raw.get("metrics")
    if type(step) is not int or not 0 <= step <= MAX_STEP:
        return _refused(f"step must be an integer from 0 to 2^53, not {step!r:.80}")
    if not isinstance(metrics, dict):
        return _refused(f"metrics of step {step} must be an object of numbers")
    refused: list[Part] = []
    wrong = [
        name
        for name, value in metrics.items()
        if not (
            type(name) is str
            and 0 < len(name) <= MAX_NAME_LENGTH
            and name.isprintable()
            and (
                value - value == 0.0
                if type(value) is float
                else type(value) is int and -MAX_INTEGER <= value <= MAX_INTEGER
            )
        )
    ]
    if wrong or len(metrics) - len(wrong) > MAX_METRICS:
        metrics = _taken(step, metrics, wrong, refused)
    skipped, at = _skipped_and_at(raw, refused)
    unknown = tuple(sorted(map(str, raw.keys() - _POINT_FIELDS)))
    message = PointMessage.model_construct(
        kind="point", step=step, metrics=metrics, skipped=skipped, at=at
    )
    return Read(message, tuple(refused), unknown)


def _skipped_and_at(raw: Mapping[str, Any], refused: list[Part]) -> tuple[int, float | None]:
    """Return the count of skipped values and the time of a point; a wrong one goes to `refused`."""
    skipped, at = raw.get("skipped", 0), raw.get("at")
    if type(skipped) is not int or not 0 <= skipped <= MAX_SKIPPED:
        reason = f"skipped must be a count up to {MAX_SKIPPED}, not {skipped!r:.80}"
        refused.append(Part("field", "skipped", reason, skipped))
        skipped = 0
    if at is not None and (type(at) not in (int, float) or not 0 <= at < MAX_STEP):
        reason = f"at must be a time in seconds, not {at!r:.80}"
        refused.append(Part("field", "at", reason, at))
        at = None
    return skipped, at


def _taken(
    step: int, metrics: dict[str, Any], wrong: list[str], refused: list[Part]
) -> dict[str, Any]:
    """Return the valid metrics; the others are appended to `refused`, the first ones by name."""
    for name in wrong[:MOST_NAMED]:
        kind, reason = _fault(name, metrics[name], step)
        refused.append(Part(kind, name, reason, metrics[name]))
    if (more := len(wrong) - MOST_NAMED) > 0:
        reason = f"{more:,} more metrics of step {step} have no usable name or value"
        refused.append(Part("metric value", "", reason))
    gone = set(wrong)
    left = {name: value for name, value in metrics.items() if name not in gone}
    if len(left) <= MAX_METRICS:
        return left
    ordered = by_rank(left)
    for name in ordered[MAX_METRICS : MAX_METRICS + MOST_NAMED]:
        reason = (
            f"step {step} has {len(left):,} metrics, and a point {MAX_METRICS} at most, so {name!r:.80}"
            " was left out; send the others as a second point of the same step"
        )
        refused.append(Part("number of metrics", name, reason, left[name]))
    return {name: left[name] for name in ordered[:MAX_METRICS]}


def _fault(name: object, value: object, step: int) -> tuple[str, str]:
    """Return the kind of a metric's fault, and a sentence about it."""
    if type(name) is not str or not 0 < len(name) <= MAX_NAME_LENGTH:
        said = f"a metric name must have 1 to {MAX_NAME_LENGTH} characters, not {len(str(name)):,}"
        return "metric name", f"{said}, as {name!r:.60} at step {step}"
    if not name.isprintable():
        return "metric name", f"the metric name {name!r:.80} at step {step} must be printable"
    if type(value) is not float and type(value) is not int:
        kind = type(value).__name__
        return "metric value", f"metric {name!r} at step {step} must be a number, not {kind}"
    if type(value) is int:
        return "metric value", f"metric {name!r} at step {step} is a number beyond 2^1000"
    return "metric value", (
        f"metric {name!r} is {value} at step {step}; leave a value that was not measured out"
    )
