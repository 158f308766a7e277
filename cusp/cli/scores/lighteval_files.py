"""Files of lighteval: `results/MODEL/results_DATE.json`, and `details/MODEL/DATE/details_TASK_DATE.parquet`.

Two forms of details: until 0.9 the columns `metrics`, `predictions`, `gold`, `example` or `full_prompt`; from 0.10
on the structs `doc`, `metric`, `model_response`. Where lighteval could not store a nested value it is text of a Python
literal. Read in `src/lighteval/logging/evaluation_tracker.py` of lighteval.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cusp.cli.scores.harness_files import (
    Json,
    TaskScores,
    UnreadableScores,
    metrics_of,
    named_apart,
    one_metric,
    our_name,
    share,
)

SOURCE = "import:lighteval"


def of_results(file: Path, content: Mapping[str, Any], metric: str | None) -> Iterator[TaskScores]:
    """Yield the scores of each task of a results file: rows where its details are found."""
    date = file.stem.partition("_")[2]
    results = {
        task: {name: value for name, value in values.items() if not name.endswith("_stderr")}
        for task, values in content["results"].items()
        if task != "all" and "_average" not in task
    }
    named_apart(results, file.name)
    for task, chosen in metrics_of(results, metric, file.name).items():
        details = _details(file, task, date)
        if details is not None:
            yield of_details(details, task, chosen)
            continue
        config = (content.get("config_tasks") or {}).get(task) or {}
        yield TaskScores(
            our_name(task),
            SOURCE,
            f"lighteval:{chosen}",
            pass_at_1=share(results[task][chosen], file.name),
            n_problems=config.get("effective_num_docs"),
            left_out=("there are no details (--save-details), so problems are not told apart",),
        )


def of_details(file: Path, task: str | None = None, metric: str | None = None) -> TaskScores:
    """Return the scores of a details file."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise UnreadableScores(
            f"{file.name} is Parquet, which needs pyarrow; install it with pip install pyarrow"
        ) from error
    try:
        lines = parquet.read_table(file).to_pylist()
    except (ArrowException, OSError) as error:
        raise UnreadableScores(f"{file.name} cannot be read as Parquet: {error}") from error
    if not lines:
        raise UnreadableScores(f"{file.name} holds no sample")
    told = [_told(line, file) for line in lines]
    name = one_metric(told[0][1], metric, file.name)
    return TaskScores(
        our_name(task or _task(file)),
        SOURCE,
        f"lighteval:{name}",
        [_row(number, line, values, name, file) for number, (line, values) in enumerate(told)],
        [_problem(number, line) for number, (line, _) in enumerate(told)],
    )


def _told(line: Json, file: Path) -> tuple[Json, Json]:
    """Return a line with its nested values, and its metrics."""
    read = {name: _literal(value) for name, value in line.items()}
    values = read.get("metric", read.get("metrics"))
    if not isinstance(values, dict):
        raise UnreadableScores(
            f"{file.name} has no column metric or metrics; is it of lighteval's --save-details?"
        )
    return read, {name: value for name, value in values.items() if value is not None}


def _row(number: int, line: Json, values: Json, metric: str, file: Path) -> Json:
    """Return a problem's row. Of several completions lighteval keeps one score, and that is the row's."""
    response = line.get("model_response")
    if isinstance(response, dict):
        texts, tokens = _list(response.get("text")), _list(response.get("output_tokens"))
    else:
        texts, tokens = _list(line.get("predictions")), _list(line.get("cont_tokens"))
    specifics = line.get("specifics")
    read = _list(specifics.get("extracted_predictions")) if isinstance(specifics, dict) else []
    return {
        "problem_id": str(number),
        "sample": 0,
        "score": share(values.get(metric), f"{file.name}, problem {number}"),
        "tokens": len(tokens[0]) if len(tokens) == 1 and isinstance(tokens[0], list) else None,
        "text": str(texts[0]) if len(texts) == 1 else None,
        "answer": str(read[0]) if len(read) == 1 else None,
    }


def _problem(number: int, line: Json) -> Json:
    doc = line.get("doc")
    if isinstance(doc, dict):
        places, choices = _list(doc.get("gold_index")), _list(doc.get("choices"))
        gold = [str(choices[at]) for at in places if isinstance(at, int) and at < len(choices)]
        question = doc.get("query")
    else:
        gold = [str(each) for each in _list(line.get("gold"))]
        question = line.get("example") or line.get("full_prompt")
    return {"problem_id": str(number), "question": str(question or ""), "gold": " | ".join(gold)}


def _details(results: Path, task: str, date: str) -> Path | None:
    """Return the details of a task: `OUT/details/MODEL/DATE/...` for `OUT/results/MODEL/results_DATE.json`."""
    for parent in results.parents:
        if parent.name == "results":
            model = results.parent.relative_to(parent)
            folder = parent.parent / "details" / model / date
            found = folder / f"details_{task}_{date}.parquet"
            # From 0.10 on the name of a task has one part less there than in the results.
            shorter = folder / f"details_{task.rpartition('|')[0]}_{date}.parquet"
            return next((each for each in (found, shorter) if each.is_file()), None)
    return None


def _task(file: Path) -> str:
    """Return the task of `details_TASK_DATE.parquet`: the date has no underscore."""
    return file.stem.removeprefix("details_").rpartition("_")[0] or file.stem


def _literal(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return value


def _list(value: Any) -> list[Any]:
    value = _literal(value)
    return value if isinstance(value, list) else [] if value is None else [value]
