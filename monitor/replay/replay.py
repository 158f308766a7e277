"""Replays the detector over the samples of a finished log. Pure."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cusp.protocol.run import Policy
from cusp.roles.assign import describe, formula
from monitor.detector import (
    ChangePoint,
    Detector,
    RunShape,
    Sample,
    Segmentation,
    Transition,
    Verdict,
    second_opinion,
)
from monitor.replay.readers.checkpoint_scores import CheckpointScores
from monitor.replay.verified import Course, Follower, ReplayedLook
from monitor.roles.ranges import ranges
from monitor.roles.role_series import RoleSeries, role_series


@dataclass(frozen=True)
class PhaseSpan:
    """A stretch of logged steps in one phase, both ends included."""

    phase: str
    from_step: int
    to_step: int


@dataclass(frozen=True)
class Replay:
    """Result for one log.

    `transition` is the current one at the end; it is provisional while `stop_step` is None. `verify_step` is the
    first step at which a verification would have been asked for; `looks` are those answered by held-out scores.
    `stop_step` is the step after which Cusp would have stopped the run: the transition was confirmed, held-out
    scores were worse, or the run collapsed. `keep_step` is the best of the checkpoints that were compared, else
    the last checkpoint at or before the last safe step; None without a transition, without a checkpoint that
    early, or if the checkpoints are unknown.
    """

    samples: tuple[Sample, ...]
    verdicts: tuple[Verdict, ...]
    phases: tuple[PhaseSpan, ...]
    change_points: tuple[ChangePoint, ...]
    transition: Transition | None
    stop_step: int | None
    keep_step: int | None
    opinion: Segmentation
    verify_step: int | None = None
    looks: tuple[ReplayedLook, ...] = ()
    roles: RoleSeries = field(default_factory=lambda: role_series((), {}))

    @property
    def verdict(self) -> Verdict:
        """The verdict after the last step."""
        return self.verdicts[-1]


def replay(
    samples: Sequence[Sample],
    shape: RunShape | None = None,
    preset: str = "default",
    *,
    checkpoints: Iterable[int] | None = None,
    boundaries: Iterable[int] = (),
    roles: Mapping[str, Sequence[str]] | None = None,
    weights: Mapping[str, float] | None = None,
    held_out: CheckpointScores | None = None,
) -> Replay:
    """Return the detector's result for `samples` (at least one, steps increasing, values as logged).

    `roles` and `weights` are the user's (cusp.roles.assign); the ranges in `shape.rewards` are by function
    name, logged key or role series. Checkpoints are the given steps, else those with `held_out` scores, else
    every `shape.save_steps`, else unknown. The scan restarts at each of the `boundaries`, the first steps of
    other data. `held_out` answers verifications; the weights of a step are its newest checkpoint with scores.
    ValueError for an unknown preset or no samples.
    """
    if not samples:
        raise ValueError("there are no samples to replay; give at least one logged step")
    shape = shape or RunShape()
    found = role_series(
        {name for sample in samples for name in sample.metrics},
        {"roles": roles or {}, "reward_weights": weights or {}},
    )
    shape = dataclasses.replace(
        shape,
        rewards=ranges(found.assignment, shape.rewards),
        rewarded=bool(found.assignment.rewardlike),
    )
    seen = [Sample(s.step, found.shown(s.metrics)) for s in samples]
    steps = _steps(checkpoints, held_out)
    fresh, saved = partial(Detector, shape, preset), _saved(steps, shape)
    follower = Follower(fresh, sorted(boundaries), saved, held_out, Policy(), shape.max_steps)
    followed = follower.follow(seen)
    return _result(seen, followed, _kept(followed, steps, shape), shape, found)


def _result(
    samples: Sequence[Sample],
    followed: Course,
    keep_step: int | None,
    shape: RunShape,
    roles: RoleSeries,
) -> Replay:
    last = followed.verdicts[-1]
    return Replay(
        samples=tuple(samples),
        verdicts=tuple(followed.verdicts),
        phases=phase_spans(followed.verdicts),
        change_points=tuple(sorted(last.change_points, key=lambda point: point.step)),
        transition=last.transition,
        stop_step=followed.stop_step,
        keep_step=keep_step,
        opinion=second_opinion(samples, shape),
        verify_step=followed.verify_step,
        looks=tuple(followed.looks),
        roles=roles,
    )


def _steps(
    checkpoints: Iterable[int] | None, held_out: CheckpointScores | None
) -> list[int] | None:
    if checkpoints is not None:
        return sorted(checkpoints)
    return sorted(held_out.scores) if held_out else None


def _saved(steps: Sequence[int] | None, shape: RunShape) -> Callable[[int], Sequence[int]]:
    """Return a function from a step to the checkpoints there are by then; unknown ones are at hand from step 0 on."""
    if steps is not None:
        return lambda now: [step for step in steps if step <= now]
    every = shape.save_steps
    return lambda now: range(every, now + 1, every) if every else [0]


def _kept(followed: Course, steps: Sequence[int] | None, shape: RunShape) -> int | None:
    if followed.keep is not None:
        return followed.keep
    safe = _safe_step(followed.verdicts[-1])
    return None if safe is None else kept(safe, steps, shape.save_steps)


def _safe_step(verdict: Verdict) -> int | None:
    """Return the last safe step; for a collapse without a transition, the low end of its interval."""
    if verdict.transition:
        return verdict.transition.safe_step
    return next((max(p.low - 1, 0) for p in verdict.change_points if p.kind == "collapse"), None)


def kept(safe_step: int, checkpoints: Iterable[int] | None, save_steps: int | None) -> int | None:
    """Return the last checkpoint at or before `safe_step`, None if there is none or they are unknown.

    >>> kept(87, None, 50), kept(87, [10, 80, 90], None), kept(20, None, 50), kept(20, None, None)
    (50, 80, None, None)
    """
    if checkpoints is not None:
        return max((step for step in checkpoints if step <= safe_step), default=None)
    if save_steps is None or safe_step < save_steps:
        return None
    return safe_step // save_steps * save_steps


def phase_spans(verdicts: Sequence[Verdict]) -> tuple[PhaseSpan, ...]:
    """Return the maximal stretches of equal phase."""
    spans: list[PhaseSpan] = []
    for verdict in verdicts:
        if spans and spans[-1].phase == verdict.phase:
            spans[-1] = PhaseSpan(verdict.phase, spans[-1].from_step, verdict.step)
        else:
            spans.append(PhaseSpan(verdict.phase, verdict.step, verdict.step))
    return tuple(spans)


def as_json(file: str, found: Replay) -> dict[str, Any]:
    """Return the JSON object of `cusp replay --json` (docs/reference/replay.md)."""
    t = found.transition
    return {
        "file": file,
        "steps": len(found.samples),
        "phase": found.verdict.phase,
        "transition": {"step": t.step, "low": t.low, "high": t.high} if t else None,
        "verify_step": found.verify_step,
        "stop_step": found.stop_step,
        "keep_step": found.keep_step,
        "change_points": [_change_point(point) for point in found.change_points],
        "phases": [vars(span) for span in found.phases],
        "verifications": [_verification(look) for look in found.looks],
        "segments": found.opinion.records(),
        "words": found.verdict.words,
        "roles": {
            "made_of": {role: formula(ms) for role, ms in found.roles.assignment.members.items()},
            "unrecognised": list(found.roles.assignment.unrecognised),
            "words": describe(found.roles.assignment),
        },
    }


def _verification(look: ReplayedLook) -> dict[str, Any]:
    return {
        "step": look.step,
        "measured_step": look.measured,
        "outcome": look.outcome,
        "compared": [vars(one) for one in look.compared],
        "completions": look.completions,
    }


def _change_point(point: ChangePoint) -> dict[str, Any]:
    return {**vars(point), "evidence": dict(point.evidence)}


def series(samples: Sequence[Sample], roles: RoleSeries | None = None) -> list[dict[str, Any]]:
    """Return the metrics as `Series` objects (docs/reference/rest.md), by name."""
    columns: dict[str, tuple[list[int], list[float]]] = {}
    for sample in samples:
        for name, value in sample.metrics.items():
            steps, values = columns.setdefault(name, ([], []))
            steps.append(sample.step)
            values.append(value)
    return [
        {"name": name, "made_of": roles and roles.formula(name), "steps": steps, "values": values}
        for name, (steps, values) in sorted(columns.items())
    ]


def verdict_columns(verdicts: Sequence[Verdict]) -> Mapping[str, Any]:
    """Return the verdicts as columns, as `GET /runs/{id}/verdicts` does."""
    names = [one.metric for one in verdicts[-1].evidence]
    return {
        "steps": [v.step for v in verdicts],
        "phases": [v.phase for v in verdicts],
        "scores": [round(v.score, 2) for v in verdicts],
        "evidence": {
            name: [round(v.evidence[row].score, 2) for v in verdicts]
            for row, name in enumerate(names)
        },
        "levels": [v.level for v in verdicts],
        "watch": verdicts[-1].watch,
        "confirm": verdicts[-1].confirm,
    }
