"""What a comparison shows of each run: its summary, configuration, thinned lines, kept checkpoints."""

from collections.abc import Sequence

from monitor.database.engine import Transaction
from monitor.roles.role_series import role_series
from monitor.roles.stored_series import shown_series
from monitor.runs.config_keys import value_text
from monitor.schemas.base import Json
from monitor.schemas.downsample import thin
from monitor.services import Service
from monitor.store import points, runs
from monitor.store.points import AT

DEFAULT_METRICS = ("format_reward", "completion_length", "accuracy_reward")
MOST_POINTS = 800  # of a line: what can be told apart on a chart
BESIDE = ("tokens",)  # read for the x axis


def read(
    tx: Transaction, service: Service, ids: Sequence[str], metrics: Sequence[str], group: str
) -> tuple[list[Json], list[str]]:
    """Return the runs as a comparison shows them, in the order asked for, and the metrics that they have."""
    rows = [row for run_id in ids if (row := runs.get(tx, run_id)) is not None]
    attempts = runs.attempts_by_run(tx, [row.id for row in rows])
    summaries = service.summaries(tx, rows)
    found: list[Json] = []
    known: set[str] = set()
    asked = [*metrics, *BESIDE, AT]
    for row, summary in zip(rows, summaries, strict=True):
        roles = role_series(points.names(tx, row.id), row.metadata)
        known |= {roles.outward(name) for name in roles.names} | set(roles.made)
        lines = {}
        for one in shown_series(tx, row, runs.cuts(attempts[row.id]), only=asked):
            less = thin(one, MOST_POINTS, set())
            name = "at" if one.name == AT else one.name
            lines[name] = {"steps": less.steps, "values": less.values}
        value = value_text(row.config, group) if group else ""
        found.append({**summary, "config": row.config, "lines": lines, "group": value})
    return found, sorted(known)
