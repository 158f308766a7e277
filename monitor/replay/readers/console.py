"""Reader of console output: TRL and ms-swift print dicts, verl `step:3 - key:value - ...`."""

import ast
import json
import re
from dataclasses import dataclass
from itertools import pairwise

from monitor.replay.readers.rows import Row, Rows, is_step

_DICT = re.compile(r"\{\s*['\"].*\}")
Bar = tuple[int, int]  # steps done, steps in all
_VERL = re.compile(r"(?:^|[^\w/])step:(?P<step>\d+) - (?P<pairs>\S+:\S.*)$")
_STEP_BEFORE = re.compile(r"(?:global[ _]?)?step[ =:#]*(\d+)\D{0,20}$", re.IGNORECASE)
_BAR = re.compile(r"(\d+)/(\d+) \[")
_WRAPPED = re.compile(
    r"(?:np|numpy|torch)?\.?(?:float|int|bfloat|tensor)\d*\(([^()]*?)(?:, [^()]*)?\)"
)
_NOT_FINITE = re.compile(r"(?<=[:\s])-?(?:nan|inf)(?=\s*[,}])")
# A printed dict is a log row if it has one of these keys; programs print other dicts as well.
_LOGGED = re.compile(
    r"(train/)?(loss|reward|rewards/|completion|response_length|actor/|critic/|policy_loss|grad_norm"
    r"|train_runtime|eval_)"
)


@dataclass
class _Printed:
    """One printed row: its place, its own step, and the progress bar before and after it."""

    place: str
    step: int | None
    values: dict[str, object]
    before: Bar | None
    after: Bar | None = None


def console_rows(text: str, logging_steps: int | None = None) -> Rows | None:
    """Return the rows that a training printed, None if there are none.

    The step is the one in the row, else the adjacent progress bar's, else the rows are counted in units of
    `logging_steps` (1) with a note.
    """
    found = _printed(text)
    if not found:
        return None
    if all(row.step is not None or any(map(is_step, row.values)) for row in found):
        return Rows(tuple(_row(row, row.step) for row in found))
    # tqdm redraws its bar right after a row; the one before it may be 0.1 s old.
    for bars in ([row.after for row in found], [row.before for row in found]):
        if logging_steps is None and _is_count(bars):
            return Rows(
                tuple(_row(row, bar[0]) for row, bar in zip(found, bars, strict=True) if bar)
            )
    return _counted(found, logging_steps)


def _row(row: _Printed, step: int | None) -> Row:
    return Row(row.place, row.values if step is None else {"step": step, **row.values})


def _counted(found: list[_Printed], logging_steps: int | None) -> Rows:
    per_row, number, rows = logging_steps or 1, 0, []
    for row in found:
        number += not any(name.startswith(("eval_", "train_runtime")) for name in row.values)
        rows.append(_row(row, max(1, number) * per_row))
    unit = "step" if per_row == 1 else f"{per_row} steps"
    hint = "" if logging_steps else "; --logging-steps N says how many steps lie between two"
    counted = "its one row is" if number == 1 else f"the {number} rows are"
    note = f"no step was printed: {counted} counted, one for every {unit}{hint}"
    return Rows(tuple(rows), (note,))


def _is_count(bars: list[Bar | None]) -> bool:
    """Return whether the bars count the training's steps: one for each row, increasing, of one total."""
    steps = [bar[0] for bar in bars if bar]
    if len(steps) < len(bars) or steps[0] < 1 or len({bar[1] for bar in bars if bar}) > 1:
        return False
    return all(a <= b for a, b in pairwise(steps)) and (len(steps) < 3 or steps[0] < steps[-1])


def _printed(text: str) -> list[_Printed]:
    """Return every printed row, in order."""
    bar: Bar | None = None
    rows: list[_Printed] = []
    for number, line in enumerate(text.splitlines(), 1):
        for piece in line.split("\r"):
            if (verl := _VERL.search(piece)) and (values := _pairs(verl["pairs"])):
                rows.append(_Printed(f"line {number}", int(verl["step"]), values, None))
                continue
            printed = _DICT.search(piece)
            before = piece[: printed.start()] if printed else piece
            if bars := _BAR.findall(before):
                bar = int(bars[-1][0]), int(bars[-1][1])
                if rows and rows[-1].after is None:
                    rows[-1].after = bar
            if printed and (logged := _dict(printed[0])):
                told = _STEP_BEFORE.search(before)
                rows.append(_Printed(f"line {number}", int(told[1]) if told else None, logged, bar))
    return rows


def _pairs(text: str) -> dict[str, object]:
    """Return verl's `key:value - key:value` as a dict.

    >>> _pairs("actor/kl_loss:0.5 - response_length/mean:np.float64(212.0)")
    {'actor/kl_loss': '0.5', 'response_length/mean': '212.0'}
    """
    values: dict[str, object] = {}
    for pair in _WRAPPED.sub(r"\1", text).split(" - "):
        name, colon, value = pair.strip().rpartition(":")
        if colon and name:
            values[name] = value
    return values


def _dict(text: str) -> dict[str, object] | None:
    """Return a printed dict of logged values, None for any other text.

    >>> _dict("{'loss': nan, 'reward': np.float64(0.5)}")
    {'loss': None, 'reward': 0.5}
    """
    try:
        found = json.loads(text)
    except ValueError:
        plain = _NOT_FINITE.sub("None", _WRAPPED.sub(r"\1", text))
        try:
            found = ast.literal_eval(plain)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    if not isinstance(found, dict):
        return None
    named = {str(name): value for name, value in found.items()}
    return named if any(_LOGGED.match(name) for name in named) else None
