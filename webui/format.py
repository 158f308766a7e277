"""Formats numbers, times and names as text; unknown values become an en dash, never `None` or `nan`."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

UNKNOWN = "–"
MINUS = "−"

METRIC_WORDS: Mapping[str, str] = {
    "format_reward": "format reward",
    "accuracy_reward": "accuracy reward",
    "completion_length": "completion length",
    "clipped_ratio": "clipped ratio",
    "reward": "reward",
    "reward_std": "reward spread",
    "kl": "KL",
    "entropy": "entropy",
    "format_volatility": "format volatility",
    "loss": "loss",
    "grad_norm": "gradient norm",
    "learning_rate": "learning rate",
    "logp_difference": "log-prob difference",
    "format_given_terminated": "format, if not cut",
    "verifier_failures": "verifier failures",
    "step_time_s": "step time (s)",
    "tokens": "tokens",
}
SHORT_METRIC_WORDS: Mapping[str, str] = {
    "format_reward": "format",
    "accuracy_reward": "accuracy",
    "completion_length": "length",
    "clipped_ratio": "clipping",
}
PHASE_WORDS: Mapping[str, str] = {
    "warming_up": "warming up",
    "adapting": "adapting",
    "adapted": "adapted",
    "turning": "turning",
    "past": "past",
    "collapsed": "collapsed",
}
SIZES = ("B", "kB", "MB", "GB", "TB")
_MANY = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")


def is_number(value: object) -> bool:
    """Return True for finite ints and floats, False for booleans."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def metric(name: str) -> str:
    """Return the display name of a metric; unknown names stay as they are."""
    return METRIC_WORDS.get(name, name)


def short_metric(name: str) -> str:
    """Return a one-word name for a metric, for legends and lists of evidence."""
    return SHORT_METRIC_WORDS.get(name) or metric(name)


def phase(name: str | None) -> str:
    """Return the display name of a phase."""
    return PHASE_WORDS.get(name, name.replace("_", " ")) if name else UNKNOWN


def text(value: object) -> str:
    """Return the value as text, an en dash for None and for an empty string."""
    return UNKNOWN if value is None else str(value) or UNKNOWN


def whole(value: object) -> str:
    """Return the value rounded to an integer, with thousands separators."""
    return f"{round(value):,}".replace("-", MINUS) if is_number(value) else UNKNOWN  # type: ignore[call-overload]


def number(value: Any, digits: int = 3) -> str:
    """Return about `digits` significant digits, without exponent between 0.001 and 1,000,000."""
    if not is_number(value):
        return UNKNOWN
    size = abs(value)
    if size and not 1e-3 <= size < 1e6:
        return f"{value:.{digits - 1}e}".replace("-", MINUS, 1 if value < 0 else 0)
    decimals = max(0, digits - 1 - math.floor(math.log10(size))) if size else 0
    return f"{value:,.{min(decimals, digits)}f}".replace("-", MINUS)


def percent(value: Any, decimals: int = 1) -> str:
    """Return a fraction as percent: 0.718 -> `71.8 %`."""
    return f"{100 * value:.{decimals}f} %".replace("-", MINUS) if is_number(value) else UNKNOWN


def points(value: Any) -> str:
    """Return a difference of two fractions in signed percentage points: 0.28 -> `+28.0`."""
    return f"{100 * value:+.1f}".replace("-", MINUS) if is_number(value) else UNKNOWN


def interval(low: Any, high: Any) -> str:
    """Return a 95 % interval of a fraction in percent: `68.9–74.6`."""
    if not (is_number(low) and is_number(high)):
        return UNKNOWN
    return f"{100 * low:.1f}–{100 * high:.1f}"


def usd(value: Any) -> str:
    """Return an amount in US dollars."""
    return f"${value:,.2f}" if is_number(value) else UNKNOWN


def hours(value: Any) -> str:
    """Return hours; below 0.001 only that they are fewer."""
    return "< 0.001" if is_number(value) and 0 < value < 0.001 else number(value)


def flops(value: Any) -> str:
    """Return a number of floating-point operations: 1.8e18 -> `1.80 EFLOP`."""
    if not is_number(value):
        return UNKNOWN
    power = min(int(math.log10(value) // 3), len(_MANY) - 1) if value >= 1 else 0
    return f"{value / 1000**power:.{2 if power else 0}f} {_MANY[power]}FLOP"


def size(value: Any) -> str:
    """Return a number of bytes in decimal units."""
    if not is_number(value):
        return UNKNOWN
    power = min(int(math.log10(value) // 3), len(SIZES) - 1) if value >= 1 else 0
    return f"{value / 1000**power:.{1 if power else 0}f} {SIZES[power]}"


def moment(value: str | None) -> datetime | None:
    """Return an ISO 8601 time as datetime in UTC; None if it is unknown or unreadable."""
    try:
        parsed = datetime.fromisoformat(value) if value else None
    except ValueError:
        return None
    return parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC) if parsed else None


def when(value: str | None) -> str:
    """Return an ISO 8601 time like `2026-11-21 09:03:11 UTC`."""
    parsed = moment(value)
    return f"{parsed:%Y-%m-%d %H:%M:%S} UTC" if parsed else UNKNOWN


def when_after(value: str | None, earlier: str | None) -> str:
    """Return the time of the day where it is that of `earlier`, else the whole time.

    >>> when_after("2026-11-21T09:04:12Z", "2026-11-21T09:03:11Z")
    '09:04:12'
    """
    one, other = moment(value), moment(earlier)
    return f"{one:%H:%M:%S}" if one and other and one.date() == other.date() else when(value)


def ago(value: str | None, now: float) -> str:
    """Return how long ago an ISO 8601 time was; keep equal to `ago` of format.js.

    >>> ago("1970-01-01T00:00:10Z", 12.0), ago("1970-01-01T00:00:10Z", 7_210.0)
    ('just now', '2 h ago')
    """
    parsed = moment(value)
    if parsed is None:
        return UNKNOWN
    seconds = int(now - parsed.timestamp())
    if seconds < 5:
        return "just now"
    units = (("s", 1), ("min", 60), ("h", 3600), ("d", 86400))
    unit, size = next(one for one in reversed(units) if seconds >= one[1])
    return f"{seconds // size} {unit} ago"


def duration(seconds: Any) -> str:
    """Return a duration like `48 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`."""
    if not is_number(seconds):
        return UNKNOWN
    total = max(0, round(seconds))
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    if total < 86400:
        return f"{total // 3600} h {total % 3600 // 60:02d} min"
    return f"{total // 86400} d {total % 86400 // 3600} h"


def charted(value: str) -> str:
    """Return text escaped for a chart: Plotly renders some tags (also links) in names and titles."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def column_label(column: str) -> str:
    """Return the header of a column of choice.

    >>> column_label("max:format_reward"), column_label("config:model.lr")
    ('format_reward max', 'model.lr')
    """
    kind, _, name = column.partition(":")
    return name if kind in ("config", "last") else f"{name} {kind}"
