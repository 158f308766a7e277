"""Gates: conditions for a metric to count, which keep the ordinary course of a training out.

format    after it rose (it cannot break before it was learnt) or has been above half for 64 points
accuracy  after 16 measured points
length    after it fell (a length that only grows is another story), else only an explosion counts
entropy   after the format rose: entropy moves both ways while the format is being learnt
"""

from monitor.detector.scan.scan import Scan
from monitor.detector.signal.metrics import ACCURACY, ENTROPY, FORMAT, LENGTH
from monitor.detector.signal.transform import MetricSignal

_RISE_Z = 5.0  # study, part 4
_FALL_Z = 4.0  # 3 found 1.5 % more, but moved the kept checkpoint of a public run (decision 0008)
_LENGTH_FALL = 0.03  # of log length; study, part 4, and decision 0008
_ESTABLISHED_POINTS = 64  # study, part 4
_FEW_POINTS = 16  # by judgement
_ENTROPY_SETTLES = 16  # points; by judgement


def open_gates(scan: Scan) -> None:
    """Arm every metric whose condition holds by now. An open gate stays open."""
    if scan.size < 24 * scan.point_weight:
        return
    if scan.size % 4 == 0 or scan.point_weight < 1:
        _open_format(scan)
        _open_length(scan)
    if scan.armed[ACCURACY] is None and scan.readings[ACCURACY].count >= _FEW_POINTS:
        scan.armed[ACCURACY] = scan.mark(ACCURACY, scan.history.first)
    _open_entropy(scan)


def _open_format(scan: Scan) -> None:
    reading = scan.readings[FORMAT]
    if scan.improved_at[FORMAT] is not None or not reading.count:
        return
    rose = scan.good_move(FORMAT, reading.scale.effect, _RISE_Z)
    scan.improved_at[FORMAT] = rose
    if scan.armed[FORMAT] is not None:
        return
    if rose is not None:
        scan.armed[FORMAT] = scan.mark(FORMAT, rose)
    elif reading.count >= _established_points(reading, scan.point_weight) and format_is_high(scan):
        scan.armed[FORMAT] = scan.mark(
            FORMAT, max(scan.size - _ESTABLISHED_POINTS, scan.history.first)
        )


def _established_points(reading: MetricSignal, point_weight: float) -> int:
    """Return the points of high format that open its gate; twice as many for a guessed range."""
    guessed = reading.scale.linear and not reading.scale.known
    return int(point_weight * _ESTABLISHED_POINTS * (2 if guessed else 1))


def format_is_high(scan: Scan) -> bool:
    """Return whether the mean of the last 32 points of the format reward is above half of its range."""
    end, start = scan.history.now(FORMAT), scan.history.sums(scan.size - 32)[:, FORMAT]
    count = end[0] - float(start[0])
    if count < 16:
        return False
    return scan.readings[FORMAT].level((end[1] - float(start[1])) / count) > 0.5


def _open_length(scan: Scan) -> None:
    if scan.armed[LENGTH] is None and scan.readings[LENGTH].count:
        fell = scan.good_move(LENGTH, _LENGTH_FALL, _FALL_Z)
        scan.improved_at[LENGTH] = fell
        if fell is not None:
            scan.armed[LENGTH] = scan.mark(LENGTH, fell)


def _open_entropy(scan: Scan) -> None:
    if scan.armed[ENTROPY] is not None or scan.readings[ENTROPY].count < _FEW_POINTS:
        return
    gate = scan.armed[FORMAT]
    if gate is None and scan.readings[FORMAT].count:
        return
    start = max((gate.point if gate else 0) + _ENTROPY_SETTLES, scan.history.first)
    if start < scan.size:
        scan.armed[ENTROPY] = scan.mark(ENTROPY, start)
