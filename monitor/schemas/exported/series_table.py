"""A run's series as one table, a line a step and a column a metric, as CSV or Parquet. Times are not in it."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.schemas.scores.exports import inert, need_pyarrow
from monitor.store import points

OWN = ("step", "attempt")


def table(
    found: Sequence[points.Series], numbers: Mapping[int, int]
) -> tuple[list[str], list[NDArray[Any]]]:
    """Return (names of the columns, their values): step, the number of the attempt that counts there, then metrics.

    Values are those that count, NaN where a metric was not logged. A metric called `step` or `attempt` becomes
    `metric/step`.
    """
    shown = [one for one in found if one.name != points.AT and len(one.counted.steps)]
    steps = np.unique(np.concatenate([one.counted.steps for one in shown] or [np.empty(0, int)]))
    attempts = np.zeros(len(steps), np.int64)
    columns: list[NDArray[Any]] = []
    for one in shown:
        places = np.searchsorted(steps, one.counted.steps)
        values = np.full(len(steps), np.nan)
        values[places] = one.counted.values
        attempts[places] = one.counted.attempts
        columns.append(values)
    told = np.array([numbers[key] for key in attempts.tolist()], np.int64)
    names = [f"metric/{one.name}" if one.name in OWN else one.name for one in shown]
    return [*OWN, *names], [steps.astype(np.int64), told, *columns]


def csv_of(names: Sequence[str], columns: Sequence[NDArray[Any]]) -> bytes:
    """Return the table as CSV; a value that is not there is empty, numbers are written in full."""
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow([inert(name) for name in names])
    whole, metrics = columns[: len(OWN)], columns[len(OWN) :]
    written = [["" if one != one else one for one in column.tolist()] for column in metrics]
    lines.writerows(zip(*(column.tolist() for column in whole), *written, strict=True))
    return text.getvalue().encode()


def parquet_of(names: Sequence[str], columns: Sequence[NDArray[Any]]) -> bytes:
    """Return the table as Parquet, null where a metric was not logged; Conflict without pyarrow."""
    need_pyarrow("CSV and JSON work without")
    import pyarrow
    from pyarrow import parquet

    arrays: list[Any] = [pyarrow.array(column, from_pandas=True) for column in columns]
    sink = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_arrays(arrays, names=list(names)), sink)
    return sink.getvalue()
