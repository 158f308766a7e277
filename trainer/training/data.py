"""Training problems in TRL's format: `prompt` (messages), `solution`, `id` and, if asked, `target_length`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset

from cusp.errors import CuspError
from trainer.chat import messages
from trainer.gym.procedural import gym_problems
from trainer.recipe import GymData, HubData, JsonlData, Recipe, TableData, TinyData
from trainer.tiny.problems import tiny_problems, tiny_row
from trainer.training.columns import text_of_answer, value_at
from trainer.training.prompts import asking_for, fitted, problem_id, target_length


class DataError(CuspError, ValueError):
    """The training data cannot be downloaded or read; the message says what to do."""


def training_set(recipe: Recipe, tokenizer: Any) -> Dataset:
    """Return the training problems of a recipe; prompts over the token limit are left out or cut.

    Raises DataError for data that cannot be read, GymError for problems that cannot be generated.
    """
    data = recipe.data
    if isinstance(data, TinyData):
        return Dataset.from_list(
            [{**tiny_row(problem), "id": problem.id} for problem in tiny_problems(data)]
        )
    kept = []
    for row in _gym_rows(data) if isinstance(data, GymData) else _table_rows(data):
        prompt = fitted(row["prompt"], data.max_prompt_tokens, data.long_prompts, tokenizer)
        if prompt is not None:
            kept.append({**row, "prompt": prompt})
    if not kept:
        raise DataError(
            f"no problem of {_source(data)} has a prompt of at most {data.max_prompt_tokens} tokens;"
            " raise data.max_prompt_tokens"
        )
    return Dataset.from_list(kept)


def read_jsonl(file: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a JSONL file; DataError names an invalid line."""
    if not file.is_file():
        raise DataError(f"there is no file {file}; give a JSONL file with one problem a line")
    try:
        lines = file.open("rb")
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror})") from error
    with lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode())
            except ValueError as error:  # also invalid UTF-8
                raise DataError(f"line {number} of {file} is no JSON: {error}") from None
            if not isinstance(row, dict):
                raise DataError(f"line {number} of {file} is no JSON object")
            yield row


def read_hub(data: HubData) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a data set of the Hugging Face hub, from the local cache if it is there."""
    from datasets import load_dataset

    try:
        yield from load_dataset(data.id, data.config, split=data.split, revision=data.revision)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"the data set {data.id} could not be loaded ({type(error).__name__}: {error});"
            " check the network and HF_HUB_OFFLINE, or name a local file with data.kind: jsonl"
        ) from error


def _gym_rows(data: GymData) -> Iterator[dict[str, Any]]:
    for problem in gym_problems(data.tasks, data.problems, data.seed, "train"):
        prompt = messages(problem.question, data.system_prompt)
        yield {"prompt": prompt, "solution": problem.gold, "id": problem.id}


def _table_rows(data: JsonlData | HubData) -> Iterator[dict[str, Any]]:
    rows = read_jsonl(Path(data.path)) if isinstance(data, JsonlData) else read_hub(data)
    for number, row in enumerate(rows, start=1):
        try:
            yield table_row(row, data)
        except LookupError as error:
            raise DataError(f"problem {number} of {_source(data)} has {error.args[0]}") from None


def table_row(row: Mapping[str, Any], data: TableData) -> dict[str, Any]:
    """Return a row in TRL's format; LookupError if a column is missing."""
    problem = str(value_at(row, data.problem_column))
    solution = text_of_answer(value_at(row, data.solution_column))
    if data.solution_in_dollars:
        solution = f"${solution}$"
    name = problem_id(problem, solution)
    if data.id_column is not None:
        name = str(value_at(row, data.id_column))
    if data.target_length is None:
        prompt = messages(problem, data.system_prompt)
        return {"prompt": prompt, "solution": solution, "id": name}
    length = target_length(data.target_length, name)
    prompt = messages(problem, asking_for(length, data.system_prompt))
    return {"prompt": prompt, "solution": solution, "id": name, "target_length": length}


def _source(data: JsonlData | HubData | GymData) -> str:
    if isinstance(data, GymData):
        return "reasoning-gym"
    return data.path if isinstance(data, JsonlData) else data.id
