"""Verdicts are a fold over a run's effective series; this keeps the folded state and catches up.

The state is only a cache: it is dropped whenever the past changed (a late point, a resumed attempt,
another process folded), and the same verdicts come out of folding everything again.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cusp.names import CANONICAL, canonical_name
from cusp.wire import Policy, RunMetadata
from monitor.detect import PRESETS, Detector, RewardRange, RunShape, Sample, Verdict

WATCHED = frozenset(CANONICAL) - {"learning_rate", "step_time_s", "tokens"}
MOST_CACHED = 256


@dataclass
class Folded:
    """A detector that has seen the effective series up to `last_step`."""

    detector: Detector
    folds: int
    cuts: dict[int, int]
    boundaries: tuple[int, ...]
    last_step: int = -1
    verdict: Verdict | None = None


class Folds:
    """The folded states of this process, the least recently used ones forgotten."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, Folded] = OrderedDict()

    def get(
        self,
        run_id: str,
        folds: int,
        cuts: Mapping[int, int],
        boundaries: Sequence[int],
        first_changed: int,
    ) -> Folded | None:
        """Return the state if nothing it has seen changed, else None."""
        state = self._states.get(run_id)
        if state is None or state.folds != folds or first_changed <= state.last_step:
            return None
        seen = [step for step in boundaries if step <= state.last_step]
        if list(state.boundaries) != seen or not _same_past(state, cuts):
            return None
        self._states.move_to_end(run_id)
        return state

    def put(self, run_id: str, state: Folded) -> None:
        """Remember a state."""
        self._states[run_id] = state
        self._states.move_to_end(run_id)
        while len(self._states) > MOST_CACHED:
            self._states.popitem(last=False)

    def drop(self, run_id: str) -> None:
        """Forget a state, because the transaction it belonged to failed."""
        self._states.pop(run_id, None)


def fresh(metadata: RunMetadata, policy: Policy, folds: int) -> Folded:
    """Return the state that has seen nothing. An unknown preset falls back to the default one."""
    preset = policy.preset if policy.preset in PRESETS else "default"
    return Folded(Detector(shape_of(metadata), preset), folds, {}, ())


def fold(
    state: Folded,
    series: Mapping[int, Mapping[str, float]],
    boundaries: Sequence[int],
    cuts: Mapping[int, int],
) -> Iterator[Verdict]:
    """Feed the steps after the state's last one, yielding a verdict for each."""
    waiting = [step for step in boundaries if step > state.last_step]
    for step, metrics in series.items():
        if step <= state.last_step:
            continue
        while waiting and waiting[0] <= step:
            state.detector.boundary()
            waiting.pop(0)
        state.verdict = state.detector.update(Sample(step, metrics))
        state.last_step = step
        yield state.verdict
    state.cuts = dict(cuts)
    state.boundaries = tuple(step for step in boundaries if step <= state.last_step)


def shape_of(metadata: RunMetadata) -> RunShape:
    """Return what the detector wants to know of a run; reward names become canonical ones."""
    rewards = {}
    for name, spec in metadata.rewards.items():
        key = name if name in CANONICAL else canonical_name(f"rewards/{name}")
        rewards[key] = RewardRange(spec.low, spec.high, spec.graded)
    return RunShape(
        completions_per_point=metadata.completions_per_point,
        rewards=rewards,
        completion_limit_tokens=metadata.completion_limit_tokens,
        max_steps=metadata.max_steps,
        save_steps=metadata.save_steps,
    )


def _same_past(state: Folded, cuts: Mapping[int, int]) -> bool:
    """Return whether the same attempts still hold every step that was folded."""
    end = state.last_step + 1  # a cut is the first step that is superseded
    return all(min(cuts.get(key, 0), end) == min(cut, end) for key, cut in state.cuts.items())
