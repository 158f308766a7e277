"""Copies of benchmarks on this box: problems as JSON lines under CUSP_DIR/tasks, with a checksum.

An evaluation reads only them, so it needs no network and scores the same problems tomorrow. The file of the
problems has their checksum in its name and is there before `task.json` names it, so a kill leaves the copy of before.
"""

import datetime
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from trainer.training.data import DataError

FILE = "task.json"


class CopiedProblem(BaseModel):
    """A question with its gold answer; `wrong` are the other options of a multiple choice question."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    question: str
    answer: str
    wrong: tuple[str, ...] = ()


class TaskCopy(BaseModel):
    """What a copy is of: the hub's id and the commit it was at, or the file that was imported (no commit)."""

    model_config = ConfigDict(frozen=True)
    name: str
    source: str
    commit: str | None
    problems: int
    sha256: str
    file: str
    made_at: str


def place_of(directory: Path, name: str) -> Path:
    """Return the folder of a benchmark's copies."""
    return directory / "tasks" / name


def write_copy(
    directory: Path,
    name: str,
    problems: Sequence[CopiedProblem],
    source: str,
    commit: str | None,
) -> TaskCopy:
    """Write a benchmark's problems, which replace those of the copy before."""
    text = "".join(f"{problem.model_dump_json()}\n" for problem in problems).encode()
    sha256 = hashlib.sha256(text).hexdigest()
    copy = TaskCopy(
        name=name,
        source=source,
        commit=commit,
        problems=len(problems),
        sha256=sha256,
        file=f"problems-{sha256[:12]}.jsonl",
        made_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    folder = place_of(directory, name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / copy.file, text)
        _replace(folder / FILE, copy.model_dump_json(indent=1).encode())
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror})") from error
    return copy


def copy_of(directory: Path, name: str) -> TaskCopy | None:
    """Return what is known of a benchmark's copy; None if there is none."""
    try:
        return TaskCopy.model_validate_json((place_of(directory, name) / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def read_copy(directory: Path, name: str) -> list[CopiedProblem]:
    """Return the problems of a benchmark's copy; DataError if there is none or it was changed."""
    copy = copy_of(directory, name)
    if copy is None:
        raise DataError(not_here([name]))
    file = place_of(directory, name) / Path(copy.file).name
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); {_again(name)}") from error
    if hashlib.sha256(content).hexdigest() != copy.sha256:
        raise DataError(f"{file} is not what was fetched: its checksum is another; {_again(name)}")
    return [CopiedProblem.model_validate_json(line) for line in content.splitlines()]


def missing(directory: Path, names: Iterable[str]) -> list[str]:
    """Return the benchmarks of which this box has no copy."""
    return [name for name in dict.fromkeys(names) if copy_of(directory, name) is None]


def not_here(names: Sequence[str]) -> str:
    """Return a sentence on benchmarks that are not on this box, with the way out.

    >>> not_here(["aime24"])
    'the task aime24 is not on this box; fetch it with `cusp tasks fetch aime24`'
    """
    words, what = ("task", "is") if len(names) == 1 else ("tasks", "are")
    it = "it" if len(names) == 1 else "them"
    return (
        f"the {words} {', '.join(names)} {what} not on this box; fetch {it} with"
        f" `cusp tasks fetch {' '.join(names)}`"
    )


def _again(name: str) -> str:
    return f"fetch it again with `cusp tasks fetch {name}`"


def _replace(file: Path, content: bytes) -> None:
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(file)
