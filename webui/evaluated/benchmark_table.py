"""Table of pass@1: a row a candidate, a column a task of the report set, and the published row of Tina's recipes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from webui import format
from webui.evaluated import published_row
from webui.evaluated.proportions import Proportion, mean
from webui.evaluated.tina_scores import PROBLEMS, Published

Record = Mapping[str, Any]
Records = Sequence[Record]


class Column(NamedTuple):
    """A task: its problems, samples a problem and judge where these are the same in all rows, else None."""

    task: str
    n: int | None
    k: int | None
    preset: str | None


class BenchmarkRow(NamedTuple):
    """A candidate's scores by task; `mean` over the tasks, None unless it has all and there are several."""

    step: int
    roles: Sequence[str]
    cells: Mapping[str, Record]
    mean: Proportion | None


class Benchmarks(NamedTuple):
    """The table, Tina's published row where the run's recipe is one of Tina's, and what Cusp says to both."""

    columns: list[Column]
    rows: list[BenchmarkRow]
    published: Published | None
    said: list[str]

    @property
    def published_mean(self) -> Proportion | None:
        """Mean of the published scores; None unless every task of the table was published."""
        found = [
            published_row.interval(self.published, each.task)
            for each in self.columns
            if self.published is not None
        ]
        known = [each for each in found if each is not None]
        return mean(known) if len(known) == len(self.columns) else None


def benchmarks(run: Record, evaluations: Records, compared: Record | None) -> Benchmarks | None:
    """Return the table of the report set; None with one task and nothing published to stand beside it."""
    reported = [each for each in evaluations if each["split"] == "report"]
    tasks = in_order({each["task"] for each in reported})
    published = published_row.of_run(run, tasks)
    if not tasks or (len(tasks) == 1 and published is None):
        return None
    columns = [_column(task, [one for one in reported if one["task"] == task]) for task in tasks]
    rows = [_row(step, reported, tasks) for step in sorted({each["step"] for each in reported})]
    return Benchmarks(columns, rows, published, _said(published, rows, columns, compared))


def in_order(tasks: set[str]) -> list[str]:
    """Return the tasks in the order of the paper's tables, others after them by name.

    >>> in_order({"champ", "math500", "aime24"})
    ['aime24', 'math500', 'champ']
    """
    known = list(PROBLEMS)
    return sorted(tasks, key=lambda task: (known.index(task) if task in known else 99, task))


def _column(task: str, scored: Records) -> Column:
    """Return a column's head; a value that differs between rows is None, and then told in each cell."""
    alike = {name: {each.get(name) for each in scored} for name in ("n_problems", "preset")}
    alike["k"] = {each.get("samples_per_problem") for each in scored}
    one = {name: next(iter(found)) if len(found) == 1 else None for name, found in alike.items()}
    return Column(task, one["n_problems"], one["k"], one["preset"])


def _row(step: int, reported: Records, tasks: Sequence[str]) -> BenchmarkRow:
    cells = {each["task"]: each for each in reported if each["step"] == step}
    roles = next((each["roles"] for each in cells.values() if each.get("roles")), ())
    whole = [estimate(cells[task]) for task in tasks if task in cells]
    return BenchmarkRow(step, roles, cells, mean(whole) if len(whole) == len(tasks) > 1 else None)


def estimate(scored: Record) -> Proportion:
    """Return the pass@1 of a `RunEvaluation`, for problems like these."""
    return Proportion(scored["pass_at_1"], scored["low"], scored["high"])


def fixed(scored: Record) -> Proportion:
    """Return the pass@1 on this fixed set of problems: the published scores are on the same ones."""
    ends = (scored.get("fixed_low"), scored.get("fixed_high"))
    if not all(format.is_number(end) for end in ends):
        return estimate(scored)
    return Proportion(scored["pass_at_1"], ends[0], ends[1])  # type: ignore[arg-type]


def _said(
    published: Published | None,
    rows: Sequence[BenchmarkRow],
    columns: Sequence[Column],
    compared: Record | None,
) -> list[str]:
    """Return the sentences below the table; none where nothing was published."""
    if published is None:
        return []
    told = _of_interest(rows, compared)
    scores = {task: fixed(cell) for task, cell in told.cells.items()}
    presets = {each.preset for each in columns if each.task in scores}
    name = "the base model" if told.step == 0 else f"step {told.step}"
    return [
        published_row.against(published, scores, name),
        published_row.own_gain(published),
        published_row.settings(presets),
    ]


def _of_interest(rows: Sequence[BenchmarkRow], compared: Record | None) -> BenchmarkRow:
    """Return the row of the best checkpoint, else of the reference, else the last one."""
    chosen = (compared or {}).get("best") or (compared or {}).get("reference") or {}
    return next((row for row in rows if row.step == chosen.get("step")), rows[-1])
