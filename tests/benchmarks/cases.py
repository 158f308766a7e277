"""Hand-made runs: metrics as functions of the step."""

from collections.abc import Callable, Mapping

from benchmarks.detector.cases import Case


def case(
    steps: int, selection: Mapping[int, float] | None = None, **metrics: Callable[[int], float]
) -> Case:
    """Return a run of steps 1 to `steps` whose metrics are given by name as functions of the step."""
    points = [
        (t, {name: float(value(t)) for name, value in metrics.items()}) for t in range(1, steps + 1)
    ]
    held_out = dict(selection or {})
    return Case("hand made", points, selection=held_out, report=held_out)
