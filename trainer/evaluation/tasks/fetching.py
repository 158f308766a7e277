"""Fetches benchmarks: from the Hugging Face hub at one commit, or from a file where there is no network."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from trainer.evaluation.tasks.catalogue import Benchmark
from trainer.evaluation.tasks.task_copies import CopiedProblem, TaskCopy, write_copy
from trainer.judges.final_text import last_box
from trainer.training.columns import text_of_answer, value_at
from trainer.training.data import DataError
from trainer.training.prompts import problem_id

_READERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}
_FAILURES = (OSError, ValueError, RuntimeError, LookupError, httpx.HTTPError)


def fetch(benchmark: Benchmark, directory: Path, revision: str | None = None) -> TaskCopy:
    """Copy a benchmark from the hub, at the commit that its revision is at now.

    Raises DataError where the hub cannot be asked, or the set is not what the catalogue says.
    """
    from datasets import disable_progress_bars, load_dataset
    from huggingface_hub import HfApi

    disable_progress_bars()  # a line a benchmark is enough
    asked = revision or benchmark.revision
    try:
        commit = HfApi().dataset_info(benchmark.hub_id, revision=asked).sha
        rows = list(
            load_dataset(benchmark.hub_id, benchmark.config, split=benchmark.split, revision=commit)
        )
    except _FAILURES as error:
        raise DataError(_not_fetched(benchmark, asked, error)) from error
    return write_copy(
        directory, benchmark.name, problems_of(benchmark, rows), benchmark.hub_id, commit
    )


def import_file(benchmark: Benchmark, file: Path, directory: Path) -> TaskCopy:
    """Copy a benchmark from a file: the hub's own columns as JSON lines, Parquet or CSV, or a copy of another box.

    Raises DataError for a file that cannot be read or has other columns.
    """
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    if (reader := _READERS.get(file.suffix)) is None or not file.is_file():
        raise DataError(f"{file} is no file with one of the endings {', '.join(_READERS)}")
    try:
        rows = list(load_dataset(reader, data_files=str(file), split="train"))
    except _FAILURES as error:
        raise DataError(f"{file} cannot be read ({_first_line(error)})") from error
    return write_copy(
        directory, benchmark.name, problems_of(benchmark, rows), str(file.resolve()), None
    )


def problems_of(benchmark: Benchmark, rows: Iterable[Mapping[str, Any]]) -> list[CopiedProblem]:
    """Return the problems in rows of the hub, or in those of a copy; DataError names what is missing or twice."""
    found: dict[str, CopiedProblem] = {}
    for number, row in enumerate(rows, start=1):
        try:
            problem = _problem(benchmark, row)
        except LookupError as error:
            raise DataError(f"problem {number} of {benchmark.name} has {error.args[0]}") from None
        if not problem.question.strip() or not problem.answer.strip():
            raise DataError(f"problem {number} of {benchmark.name} has no question or no answer")
        found.setdefault(problem.id, problem)  # a set may list a problem twice
    if not found:
        raise DataError(f"{benchmark.name} has no problems there")
    return list(found.values())


def _problem(benchmark: Benchmark, row: Mapping[str, Any]) -> CopiedProblem:
    if {"id", "question", "answer", "wrong"} == set(row):  # a line of a copy
        return CopiedProblem(**{**row, "wrong": tuple(row["wrong"] or ())})
    question = str(value_at(row, benchmark.problem)).strip()
    value = value_at(row, benchmark.answer)
    answer = ", ".join(map(str, value)) if isinstance(value, list) else text_of_answer(value)
    if benchmark.gold == "last_box":
        answer = box.content if (box := last_box(answer)) else answer
    wrong = tuple(str(value_at(row, column)).strip() for column in benchmark.wrong)
    return CopiedProblem(
        id=f"{benchmark.name}-{problem_id(question, answer)[:12]}",
        question=question,
        answer=answer.strip(),
        wrong=wrong,
    )


def _not_fetched(benchmark: Benchmark, asked: str, error: Exception) -> str:
    where = f"{benchmark.name} ({benchmark.hub_id} at {asked})"
    if benchmark.gated:
        return (
            f"{where} could not be fetched ({_first_line(error)}); its authors ask for consent: give it on the"
            " data set's page, set HF_TOKEN, and fetch again"
        )
    return (
        f"{where} could not be fetched ({_first_line(error)}); check the network and HF_HUB_OFFLINE, or import a"
        f" file with `cusp tasks fetch {benchmark.name} --from FILE`"
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]:.200}" if text else type(error).__name__
