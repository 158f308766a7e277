"""Gates: conditions for a metric to count, which keep the ordinary course of a training out.

format    after it rose (it cannot break before it was learnt) or has been above half for 64 points
accuracy  after 16 measured points
length    after it fell (a length that only grows is another story), else only an explosion counts
entropy   after the format rose: entropy moves both ways while the format is being learnt
"""

from monitor.detector import constants
from monitor.detector.scan.scan import Scan
from monitor.detector.signal.metrics import ACCURACY, ENTROPY, FORMAT, LENGTH, TRUNCATION
from monitor.detector.signal.transform import MetricSignal


def open_gates(scan: Scan) -> None:
    """Arm every metric whose condition holds by now. An open gate stays open."""
    if scan.size < constants.LEVEL * scan.point_weight:
        return
    if scan.size % 4 == 0 or scan.point_weight < 1:
        _open_format(scan)
        _open_length(scan)
    for row in (ACCURACY, TRUNCATION):
        if scan.armed[row] is None and scan.readings[row].count >= constants.FEW:
            scan.armed[row] = scan.mark(row, scan.history.first)
    _open_entropy(scan)


def _open_format(scan: Scan) -> None:
    reading = scan.readings[FORMAT]
    if scan.improved_at[FORMAT] is not None or not reading.count:
        return
    rose = scan.good_move(FORMAT, reading.scale.effect, constants.RISE_Z)
    scan.improved_at[FORMAT] = rose
    if scan.armed[FORMAT] is not None:
        return
    if rose is not None:
        scan.armed[FORMAT] = scan.mark(FORMAT, rose)
    elif reading.count >= _established_points(reading, scan.point_weight) and format_is_high(scan):
        scan.armed[FORMAT] = scan.mark(
            FORMAT, max(scan.size - constants.ESTABLISHED, scan.history.first)
        )


def _established_points(reading: MetricSignal, point_weight: float) -> int:
    """Return the points of high format that open its gate; twice as many for a guessed range."""
    return int(point_weight * constants.ESTABLISHED * (2 if reading.scale.guessed else 1))


def format_is_high(scan: Scan) -> bool:
    """Return whether the mean of the last points of the format reward is above half of its range."""
    end, start = (
        scan.history.now(FORMAT),
        scan.history.sums(scan.size - constants.RANGE_OVER)[:, FORMAT],
    )
    count = end[0] - float(start[0])
    if count < constants.FEW:
        return False
    return scan.readings[FORMAT].level((end[1] - float(start[1])) / count) > constants.HIGH


def _open_length(scan: Scan) -> None:
    if scan.armed[LENGTH] is None and scan.readings[LENGTH].count:
        fell = scan.good_move(LENGTH, constants.LENGTH_FALL, constants.FALL_Z)
        scan.improved_at[LENGTH] = fell
        if fell is not None:
            scan.armed[LENGTH] = scan.mark(LENGTH, fell)


def _open_entropy(scan: Scan) -> None:
    if scan.armed[ENTROPY] is not None or scan.readings[ENTROPY].count < constants.FEW:
        return
    gate = scan.armed[FORMAT]
    if gate is None and scan.readings[FORMAT].count:
        return
    start = max((gate.point if gate else 0) + constants.FEW, scan.history.first)
    if start < scan.size:
        scan.armed[ENTROPY] = scan.mark(ENTROPY, start)
