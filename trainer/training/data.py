"""Training problems in TRL's format: a `prompt` of messages and a `solution`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset

from cusp.errors import CuspError
from trainer.chat import messages
from trainer.recipe import HubData, JsonlData, Recipe, TinyData
from trainer.tiny.problems import tiny_problems, tiny_row


class DataError(CuspError, ValueError):
    """The training data cannot be downloaded or read; the message says what to do."""


def training_set(recipe: Recipe, tokenizer: Any) -> Dataset:
    """Return the training problems of a recipe, without prompts over the token limit."""
    data = recipe.data
    if isinstance(data, TinyData):
        return Dataset.from_list([tiny_row(problem) for problem in tiny_problems(data)])
    rows = read_jsonl(Path(data.path)) if isinstance(data, JsonlData) else read_hub(data)
    kept = [row for row in _rows(rows, data) if _fits(row, data.max_prompt_tokens, tokenizer)]
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


def _rows(rows: Iterator[Mapping[str, Any]], data: JsonlData | HubData) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows, start=1):
        for column in (data.problem_column, data.solution_column):
            if column not in row:
                raise DataError(
                    f"problem {number} of {_source(data)} has no column {column!r};"
                    f" it has {', '.join(sorted(row))}"
                )
        solution = str(row[data.solution_column])
        yield {
            "prompt": messages(str(row[data.problem_column]), data.system_prompt),
            "solution": f"${solution}$" if data.solution_in_dollars else solution,
        }


def _fits(row: Mapping[str, Any], limit: int | None, tokenizer: Any) -> bool:
    if limit is None:
        return True
    text = tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"]) <= limit


def _source(data: JsonlData | HubData) -> str:
    return data.path if isinstance(data, JsonlData) else data.id
