"""Updates a run's verdicts within the transaction that changed its series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cusp.protocol.run import Policy, RunMetadata
from monitor.database.engine import Transaction
from monitor.detector import ChangePoint, RunShape, Verdict
from monitor.roles.role_series import RoleSeries, role_series, shape_of
from monitor.store import points, verdicts
from monitor.store.changes import News
from monitor.store.scores import verifications
from monitor.verdicts.cache import DetectorCache, DetectorState, KnownPast, fold, fresh
from monitor.verdicts.encoding import as_json, stored_level, told, with_held_out


@dataclass
class Followed:
    """Result of `follow`: the state to cache after the commit, and the changes to publish."""

    state: DetectorState
    found: list[Verdict]  # of new and changed steps
    news: list[News]
    values: dict[str, Any]  # columns of the run's row
    worse: bool = False  # whether weights that still count were found worse on held-out problems

    @property
    def verdict(self) -> Verdict | None:
        """The verdict after the last step, None before the first."""
        return self.state.verdict


def follow(
    tx: Transaction,
    run: Any,
    folds: DetectorCache,
    cuts: Mapping[int, int],
    numbers: Mapping[str, int],
    changed_from: int,
    *,
    same_past: bool = False,
    new_steps: Mapping[int, Mapping[str, float]] | None = None,
) -> Followed:
    """Process the new points and store the verdicts from `changed_from` on.

    `run` is the run's locked row before the change, `numbers` its series ids by name and `changed_from` the
    first step at which the effective watched series, a boundary or a refutation changed. Verdicts before that step are
    stored already, and stay. `same_past`: this transaction stored no boundary and no outcome of a verification.
    `new_steps` are all points beyond the steps known before, as they were logged: they need not be read.
    """
    reached = run.verdict["step"] if run.verdict else -1
    late = changed_from <= reached
    known_past = folds.past(run.id, run.cursor, cuts) if same_past else None
    if known_past is None:
        outcomes = verifications.outcomes(tx, run.id, cuts)
        steps = points.boundary_steps(tx, run.id, cuts)
        known_past = KnownPast(run.cursor, dict(cuts), steps, *outcomes, numbers)
    _, _, boundaries, refuted, worse, newest_worse, _ = known_past
    roles = role_series(numbers, run.metadata)
    state = folds.take(run.id, run.folds, cuts, boundaries, changed_from, refuted)
    if state is None or (state.roles is not roles and state.shape != _shape(run, roles)):
        state = _fresh(run, roles)
    state.roles = roles
    # A second part of the last step has come: expect second parts of the next steps, too.
    state.keeps_last |= changed_from == reached
    state.folds = run.folds + 1 if late else run.folds
    known = not late and state.last_step == reached
    labels = roles.labels(numbers)
    if known and new_steps is not None:
        series = _labelled(new_steps, numbers, labels)
    else:
        series = points.effective(tx, labels, cuts, since=state.last_step + 1)
    series = roles.complete(series)
    new = fold(state, series, boundaries, cuts, refuted)
    found = [verdict for verdict in new if verdict.step >= changed_from]
    if late:
        verdicts.forget_verdicts(tx, run.id, changed_from)
    verdicts.add_verdicts(tx, [verdict_row(run.id, verdict) for verdict in found])
    news = _news(found, changed_from, reached)
    if _store_change_points(tx, run.id, state, known=known):
        news.append(("changed", {"section": "change_points"}))
    shown = as_json(state.verdict) if state.verdict else None
    if shown and shown["transition"]:
        shown = told(shown, verdicts.change_points_of(tx, run.id))
    if shown:
        shown = with_held_out(shown, newest_worse)
    state.known = known_past._replace(names=numbers)
    values = {"verdict": shown, "folds": state.folds}
    return Followed(state, found, news, values, worse=worse)


def _labelled(
    steps: Mapping[int, Mapping[str, float]], numbers: Mapping[str, int], labels: Mapping[int, str]
) -> dict[int, dict[str, float]]:
    """Return what `points.effective` would read of logged points, by rising step."""
    found = {
        step: {
            labels[numbers[name]]: value
            for name, value in logged.items()
            if numbers[name] in labels
        }
        for step, logged in sorted(steps.items())
    }
    return {step: metrics for step, metrics in found.items() if metrics}


def _fresh(run: Any, roles: RoleSeries) -> DetectorState:
    metadata = RunMetadata.model_validate(run.metadata)
    return fresh(metadata, Policy.model_validate(run.policy), run.folds, roles.assignment)


def _shape(run: Any, roles: RoleSeries) -> RunShape:
    return shape_of(RunMetadata.model_validate(run.metadata), roles.assignment)


def _news(found: Sequence[Verdict], changed_from: int, told: int) -> list[News]:
    """Return the changes for viewers; an update of the last step needs no rewind, it replaces itself."""
    news: list[News] = []
    steps = [verdict.step for verdict in found]
    if changed_from < told or (changed_from == told and told not in steps):
        news.append(("rewind", {"step": changed_from}))
    if steps:
        news.append(("verdicts", {"from": steps[0], "to": steps[-1]}))
    return news


def _store_change_points(
    tx: Transaction, run_id: str, state: DetectorState, *, known: bool
) -> bool:
    """Store the change points of the latest verdict; return whether any differed.

    `known`: the database holds the change points that this state stored last.
    """
    found = state.verdict.change_points if state.verdict else ()
    if known and state.stored == found:
        return False
    state.stored = found
    return verdicts.set_change_points(tx, run_id, [_change_point_row(one) for one in found])


def verdict_row(run_id: str, verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as its row."""
    return {
        "run_id": run_id,
        "step": verdict.step,
        "phase": verdict.phase,
        "score": verdict.score,
        "evidence": {
            **{one.metric: round(one.score, 3) for one in verdict.evidence if one.score},
            **stored_level(verdict),
        },
    }


def _change_point_row(one: ChangePoint) -> dict[str, Any]:
    return {**vars(one), "evidence": dict(one.evidence)}
