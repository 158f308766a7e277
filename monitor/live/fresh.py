"""What a batch changed, as viewers are told of it, made from what ingest holds already.

A viewer's monitor would otherwise read each batch back: fifteen statements, twice what storing it takes. It is
made only where somebody follows the run here and nothing but new steps came: everything else, and what another
monitor stored, is read from the database by cursor (`changes.py`), which gives the same events.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

from monitor.live.changes import encoded, numbered
from monitor.roles.role_series import RoleSeries
from monitor.schemas import base
from monitor.schemas import run as run_schema
from monitor.schemas.readings import KEY_METRICS, STORED_POINTS, Readings

READ_AGAIN_S = 5.0  # as a channel looks for itself: what changes without a cursor is seen then
MOST_KNOWN = 512


class Fresh(NamedTuple):
    """The encoded changes after one cursor up to another, and the run's readings then."""

    after: int
    upto: int
    content: bytes
    readings: Readings


class NewSteps(NamedTuple):
    """What a batch of nothing but new steps brought: logged points, verdict rows, and the rows after it."""

    attempt: Any
    attempts: Sequence[Any]
    points: Mapping[int, Mapping[str, float]]
    verdicts: Sequence[Mapping[str, Any]]
    roles: RoleSeries
    run: Any


class _Known(NamedTuple):
    cursor: int
    readings: Readings
    read_at: float


class LiveReadings:
    """The readings of followed runs at their last cursor, kept from one batch to the next.

    `follows` says whether anybody here follows a run.
    """

    def __init__(
        self, follows: Callable[[str], bool], clock: Callable[[], float], lost_after_s: float
    ) -> None:
        self._follows, self._clock, self._lost_after_s = follows, clock, lost_after_s
        self._known: dict[str, _Known] = {}

    def keep(self, run_id: str, cursor: int, readings: Readings) -> None:
        """Remember what was read of the run in the transaction that saw this cursor."""
        if self._follows(run_id):
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[run_id] = _Known(cursor, readings, self._clock())

    def told(self, run_id: str, fresh: Fresh) -> None:
        """Remember what a committed batch made of it."""
        known = self._known.get(run_id)
        if known is not None and known.cursor == fresh.after:
            self._known[run_id] = known._replace(cursor=fresh.upto, readings=fresh.readings)

    def at(self, run_id: str, cursor: int) -> Readings | None:
        """Return the run's readings at this cursor, None where they are unknown, old, or nobody follows it."""
        known = self._known.get(run_id)
        if known is None or known.cursor != cursor or not self._follows(run_id):
            return None
        return known.readings if self._clock() - known.read_at < READ_AGAIN_S else None

    def fresh(self, before: Readings, new: NewSteps) -> Fresh:
        """Return the events of a batch: its points, its verdicts, and the run; `new.run` has the last cursor."""
        number = base.attempt_numbers(new.attempts)[new.attempt.key]
        shown = {step: new.roles.shown(logged) for step, logged in sorted(new.points.items())}
        points = [{"step": s, "attempt": number, "metrics": m} for s, m in shown.items()]
        names = ("step", "phase", "score", "evidence")
        verdicts = [{name: row[name] for name in names} for row in new.verdicts]
        upto = int(new.run.cursor)
        after = upto - 2 - bool(verdicts)
        events = numbered(after + 1, "point", points)
        events += numbered(upto - 1, "verdict", verdicts)
        readings = replace(before, attempts=new.attempts, values=_extended(before, shown))
        summary = run_schema.summary(new.run, readings, self._clock(), self._lost_after_s)
        events.append((upto, "run", summary))
        return Fresh(after, upto, b"".join(encoded(*one) for one in events), readings)


def changed(row: Any, values: Mapping[str, Any]) -> Any:
    """Return the row as it is with these columns set."""
    return SimpleNamespace(**{**row._asdict(), **values})


def _extended(before: Readings, shown: Mapping[int, Mapping[str, float]]) -> dict[str, list[float]]:
    """Return the last values of the key metrics with those of the new steps."""
    values = {name: list(line) for name, line in before.values.items()}
    for name in KEY_METRICS:
        new = [point[name] for point in shown.values() if name in point]
        if new:
            values[name] = (values.get(name, []) + new)[-STORED_POINTS:]
    return values
