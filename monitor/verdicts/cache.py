"""Cache of detector states, from which new verdicts are computed incrementally.

Verdicts are a fold over a run's effective series. A state is discarded whenever its past input has changed (a
late point, a resumed attempt, a boundary, held-out scores); folding everything again gives the same verdicts.
"""

import copy
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from cusp.protocol.run import Policy, RunMetadata
from cusp.roles.assign import SERIES, Assignment
from monitor.detector import PRESETS, ChangePoint, Detector, RunShape, Sample, Verdict
from monitor.roles.role_series import RoleSeries, shape_of

WATCHED = frozenset(SERIES.values())
MOST_CACHED = 256


class KnownPast(NamedTuple):
    """What a fold was given beside the series, and the run's last change and cuts then.

    Whatever stores a boundary or an outcome appends a change, so it holds as long as both are the same.
    """

    cursor: int
    cuts: Mapping[int, int]
    boundaries: Sequence[int]
    refuted: Sequence[int]
    worse: bool
    newest_worse: (
        tuple[int, Sequence[Mapping[str, Any]]] | None
    )  # as `verifications.Outcomes` has it
    names: Mapping[str, int]  # series ids by name: a new one comes with points, so with a change


@dataclass
class DetectorState:
    """A detector that has processed the effective series up to `last_step`.

    `folds` is the run's version of its past at that time. For a run that logs a step in several parts
    (`keeps_last`), `before` is the state without the last step, to roll back to.
    """

    detector: Detector
    folds: int
    cuts: dict[int, int]
    boundaries: tuple[int, ...]
    refuted: tuple[int, ...] = ()  # steps whose weights were found not worse on held-out problems
    last_step: int = -1
    verdict: Verdict | None = None
    stored: tuple[ChangePoint, ...] | None = None  # the change points last written to the database
    keeps_last: bool = False
    before: "DetectorState | None" = field(default=None, repr=False)
    shape: RunShape | None = None  # the detector's metadata, and the roles it is for
    roles: RoleSeries | None = field(default=None, repr=False, compare=False)
    known: KnownPast | None = field(default=None, repr=False, compare=False)


class DetectorCache:
    """LRU cache of this process's detector states.

    A state is removed on use and put back after the commit, so that one of a failed transaction is never
    used again.
    """

    def __init__(self) -> None:
        self._states: OrderedDict[str, DetectorState] = OrderedDict()
        self._guard = threading.Lock()

    def take(
        self,
        run_id: str,
        folds: int,
        cuts: Mapping[int, int],
        boundaries: Sequence[int],
        changed_from: int,
        refuted: Sequence[int] = (),
    ) -> DetectorState | None:
        """Remove and return the state if its past input is unchanged (before `changed_from`), else None."""
        with self._guard:
            state = self._states.pop(run_id, None)
        if state is not None and changed_from <= state.last_step:
            state = state.before
        if state is None or state.folds != folds or changed_from <= state.last_step:
            return None
        past = _past(state, boundaries, refuted)
        if past != (state.boundaries, state.refuted) or not _same_past(state, cuts):
            return None
        return state

    def past(self, run_id: str, cursor: int, cuts: Mapping[int, int]) -> KnownPast | None:
        """Return what the run's last fold was given, None where it may differ by now."""
        with self._guard:
            state = self._states.get(run_id)
        known = state.known if state else None
        return known if known and known.cursor == cursor and known.cuts == cuts else None

    def names(self, run_id: str, cursor: int) -> Mapping[str, int] | None:
        """Return the run's series ids by name at this cursor, None where they may be others."""
        with self._guard:
            state = self._states.get(run_id)
        known = state.known if state else None
        return known.names if known and known.cursor == cursor else None

    def put(self, run_id: str, state: DetectorState) -> None:
        """Store a state."""
        with self._guard:
            self._states[run_id] = state
            self._states.move_to_end(run_id)
            while len(self._states) > MOST_CACHED:
                self._states.popitem(last=False)


def fresh(
    metadata: RunMetadata, policy: Policy, folds: int, roles: Assignment | None = None
) -> DetectorState:
    """Return an initial state. An unknown preset falls back to the default one."""
    preset = policy.preset if policy.preset in PRESETS else "default"
    shape = shape_of(metadata, roles)
    return DetectorState(Detector(shape, preset), folds, {}, (), shape=shape)


def fold(
    state: DetectorState,
    series: Mapping[int, Mapping[str, float]],
    boundaries: Sequence[int],
    cuts: Mapping[int, int],
    refuted: Sequence[int] = (),
) -> Iterator[Verdict]:
    """Process the steps after the state's last one, yielding a verdict for each.

    A boundary comes before the values of its step, a refutation after those of the step it measured.
    """
    restarts = [(step, state.detector.boundary) for step in boundaries]
    restarts += [(step + 1, state.detector.accept) for step in refuted]
    waiting = sorted((one for one in restarts if one[0] > state.last_step), key=itemgetter(0))
    new = [step for step in series if step > state.last_step]
    for step in new:
        if state.keeps_last and step == new[-1]:
            _settle(state, boundaries, refuted, cuts)
            state.before = None
            roles, state.roles = state.roles, None  # shared, not copied
            state.before = copy.deepcopy(state)
            state.roles = state.before.roles = roles
        while waiting and waiting[0][0] <= step:
            waiting.pop(0)[1]()
        state.verdict = state.detector.update(Sample(step, series[step]))
        state.last_step = step
        yield state.verdict
    _settle(state, boundaries, refuted, cuts)


def _settle(
    state: DetectorState,
    boundaries: Sequence[int],
    refuted: Sequence[int],
    cuts: Mapping[int, int],
) -> None:
    """Record the attempts, boundaries and refutations within the state's past input."""
    state.cuts = dict(cuts)
    state.boundaries, state.refuted = _past(state, boundaries, refuted)


def _past(
    state: DetectorState, boundaries: Sequence[int], refuted: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the boundaries and refutations that a detector after the state's last step has had."""
    return (
        tuple(step for step in boundaries if step <= state.last_step),
        tuple(step for step in refuted if step < state.last_step),
    )


def _same_past(state: DetectorState, cuts: Mapping[int, int]) -> bool:
    """Return whether every processed step still belongs to the same attempt."""
    end = state.last_step + 1  # a cut is the first superseded step
    return all(min(cuts.get(key, 0), end) == min(cut, end) for key, cut in state.cuts.items())
