"""A run's series as one table, a line a step and a column a metric, as CSV or Parquet. Times are not in it.

It is made and written a portion of steps at a time, so that it takes no more memory for a longer run.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.schemas.scores.exports import Drained, drained, inert, need_pyarrow
from monitor.store import points
from monitor.store.packed.columns import NOTHING

OWN = ("step", "attempt")
GROUP = 2_048  # lines of a row group at least: each costs the file's footer some 100 bytes a column

Names = Sequence[str]
Portion = Sequence[NDArray[Any]]  # step, number of the attempt that counts there, then the metrics


def metrics_of(found: Iterable[points.Series]) -> list[str]:
    """Return the names of the series that are columns."""
    return [one.name for one in found if one.name != points.AT]


def portion(found: Iterable[points.Series], metrics: Names, numbers: Mapping[int, int]) -> Portion:
    """Return the columns of some steps: float64 of those that count, NaN where a metric was not logged."""
    by_name = {one.name: one.counted for one in found}
    shown = [by_name.get(name, NOTHING) for name in metrics]
    steps = np.unique(np.concatenate([one.steps for one in shown] or [np.empty(0, np.int64)]))
    attempts = np.zeros(len(steps), np.int64)
    columns: list[NDArray[Any]] = []
    for one in shown:
        places = np.searchsorted(steps, one.steps)
        values = np.full(len(steps), np.nan)
        values[places] = one.values
        attempts[places] = one.attempts
        columns.append(values)
    told = np.array([numbers[key] for key in attempts.tolist()], np.int64)
    return [steps.astype(np.int64), told, *columns]


def table_writer(kind: str) -> Callable[[Names, Iterable[Portion]], Iterator[bytes]]:
    """Return what writes (names of the metrics, portions) in this format; Conflict for Parquet without pyarrow.

    A metric called `step` or `attempt` becomes `metric/step`.
    """
    if kind == "parquet":
        need_pyarrow("CSV and JSON work without")
    return {"csv": _csv, "parquet": _parquet}[kind]


def _header(metrics: Names) -> list[str]:
    return [*OWN, *(f"metric/{name}" if name in OWN else name for name in metrics)]


def _csv(metrics: Names, portions: Iterable[Portion]) -> Iterator[bytes]:
    """A value that is not there is empty, numbers are written in full."""
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow([inert(name) for name in _header(metrics)])
    for columns in portions:
        whole, values = columns[: len(OWN)], columns[len(OWN) :]
        written = [["" if one != one else one for one in column.tolist()] for column in values]
        lines.writerows(zip(*(column.tolist() for column in whole), *written, strict=True))
        yield drained(text)
    yield drained(text)


def _parquet(metrics: Names, portions: Iterable[Portion]) -> Iterator[bytes]:
    """Null where a metric was not logged."""
    import pyarrow
    from pyarrow import parquet

    kinds = [pyarrow.int64()] * len(OWN) + [pyarrow.float64()] * len(metrics)
    schema = pyarrow.schema(list(zip(_header(metrics), kinds, strict=True)))
    sink = Drained()
    with parquet.ParquetWriter(sink, schema) as lines:
        for columns in _grouped(portions):
            arrays = [pyarrow.array(column, from_pandas=True) for column in columns]
            lines.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
            yield sink.taken()
    yield sink.taken()


def _grouped(portions: Iterable[Portion]) -> Iterator[Portion]:
    """Return the portions joined until they are a row group."""
    waiting: list[Portion] = []
    for one in portions:
        waiting.append(one)
        if sum(len(columns[0]) for columns in waiting) >= GROUP:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(portions: Sequence[Portion]) -> Portion:
    return [np.concatenate(parts) for parts in zip(*portions, strict=True)]
