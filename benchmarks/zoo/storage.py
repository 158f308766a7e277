"""Files of the zoo: a run's log with held-out scores, its scores by problem, and the index of what made it.

NAME.csv.gz        a row a step, under canonical names (`cusp replay` reads it), with two columns more,
                   `selection` and `report`: held-out pass@1 of the checkpoint of that step; row 0 is the base
NAME.problems.npz  the same scores by problem and sample, one bit each: `steps`, and for each set its
                   packed bits and their shape (steps, problems, samples); arrays only, never a pickle
INDEX.csv          command, time, base model and versions of each run
"""

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.detector.cases import Case
from benchmarks.zoo.variants import RUNS
from cusp.metrics import canonical

HERE = Path(__file__).parent
ZOO = HERE / "runs"
ZOOS = {"head32": ZOO, "head16": HERE / "runs_head16"}
ENOUGH = 60  # runs from which on the newer zoo is the one that is scored
LOST, HEALTHY = (
    0.10,
    0.05,
)  # held-out loss from the best checkpoint to the last: at least, less than
LOGGED = (
    "format_reward", "accuracy_reward", "completion_length", "clipped_ratio", "entropy", "kl",
    "reward", "reward_std", "rewards/cosine_reward", "grad_norm", "learning_rate",
    # What a batch tells of itself, as TRL names it; the runs of `head16` have none of these.
    "rewards/format_reward/std", "rewards/accuracy_reward/std", "rewards/cosine_reward/std",
    "frac_reward_zero_std", "completions/min_length", "completions/max_length",
    "completions/mean_terminated_length",
)  # fmt: skip
NAMED = {"rewards/format_reward": "format_reward", "rewards/accuracy_reward": "accuracy_reward"}
SPLITS = ("selection", "report")
INDEX = ("run", "command", "seconds", "date", "base", "commit", "trl", "torch")

Bits = npt.NDArray[np.bool_]
Problems = Mapping[str, Mapping[int, Bits]]  # split -> step -> (problems, samples)


def current() -> str:
    """Return the name of the zoo to score: the newer one as soon as it has enough runs."""
    kinds = [case.kind for case in load("head32")]
    enough = len(kinds) >= ENOUGH and {"lost", "healthy"} <= set(kinds)
    return "head32" if enough else "head16"


def load(zoo: str | None = None) -> list[Case]:
    """Return the runs of a zoo (default: `current()`) as cases for the shared scoring."""
    folder = ZOOS[zoo or current()]
    files = [folder / f"{run.name}.csv.gz" for run in RUNS]
    return [read(file) for file in files if file.exists()]


def read(file: Path) -> Case:
    """Return one run of the zoo."""
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(file.read_bytes()).decode())))
    points = [
        (int(row["step"]), {n: float(row[n]) for n in LOGGED if row.get(n)})
        for row in rows
        if row.get("format_reward")
    ]
    selection, report = (
        {int(row["step"]): float(row[name]) for row in rows if row.get(name)} for name in SPLITS
    )
    lost = max(report.values()) - report[max(report)]
    label = "lost" if lost >= LOST else "healthy" if lost < HEALTHY else "between"
    batch = 24 if file.name.startswith("small_batch") else 48
    return Case(
        file.name.removesuffix(".csv.gz"), points, label, completions=batch, completion_limit=64,
        selection=selection, report=report, problems=problems(file),
    )  # fmt: skip


def problems(file: Path) -> Problems:
    """Return the scores by problem of the run in `file`; empty where none were stored."""
    beside = problems_file(file)
    if not beside.exists():
        return {}
    with np.load(beside, allow_pickle=False) as stored:
        steps = [int(step) for step in stored["steps"]]
        found = {}
        for split in SPLITS:
            shape = tuple(int(n) for n in stored[f"{split}_shape"])
            bits = np.unpackbits(stored[split], count=int(np.prod(shape))).reshape(shape)
            found[split] = dict(zip(steps, bits.astype(bool), strict=True))
    return found


def problems_file(file: Path) -> Path:
    """Return the file of the scores by problem beside a run's log."""
    return file.with_name(file.name.removesuffix(".csv.gz") + ".problems.npz")


def logged(logs: Mapping[str, object]) -> dict[str, Any]:
    """Return what TRL logged in a step under the zoo's names."""
    return {NAMED.get(name, name): value for name, value in canonical(logs).items()}


def write(file: Path, rows: Sequence[Mapping[str, Any]], scored: Problems) -> None:
    """Write a run, its scores by problem first: complete, or without the log and so not there."""
    write_problems(problems_file(file), scored)
    columns = [c for c in (*LOGGED, *SPLITS) if any(row.get(c) is not None for row in rows)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *columns])
    for row in rows:
        cells = (row.get(column) for column in columns)
        writer.writerow([row["step"], *("" if v is None else f"{float(v):.6g}" for v in cells)])
    _replace(file, gzip.compress(text.getvalue().encode(), 9, mtime=0))


def write_problems(file: Path, scored: Problems) -> None:
    """Write scores by problem: the same steps and problems in every set's arrays."""
    steps = sorted(scored[SPLITS[0]])
    arrays: dict[str, Any] = {"steps": np.array(steps, dtype=np.int32)}
    for split in SPLITS:
        bits = np.stack([scored[split][step] for step in steps])
        arrays[split] = np.packbits(bits.reshape(-1))
        arrays[f"{split}_shape"] = np.array(bits.shape, dtype=np.int32)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    _replace(file, content.getvalue())


def index(folder: Path, row: Mapping[str, object]) -> None:
    """Append what made a run to the index."""
    file = folder / "INDEX.csv"
    new = not file.exists()
    with file.open("a", newline="") as out:
        writer = csv.DictWriter(out, INDEX, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def _replace(file: Path, content: bytes) -> None:
    part = file.with_suffix(".part")
    part.write_bytes(content)
    part.replace(file)
