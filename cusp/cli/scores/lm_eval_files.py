"""Files of lm-evaluation-harness 0.4: `results_DATE.json` with `--log_samples`' `samples_TASK_DATE.jsonl` beside it.

A sample's line has `doc_id`, `doc`, `target`, `resps`, `filtered_resps`, a value a metric and, from 0.4.5 on, the
`filter` that the value is of: a task with two filters has two lines a problem. The metrics of the results are named
`METRIC,FILTER`. Read in `lm_eval/loggers/evaluation_tracker.py` of the harness.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
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

SOURCE = "import:lm_eval"
_QUESTIONS = ("question", "problem", "query", "input", "prompt")


def of_results(file: Path, content: Mapping[str, Any], metric: str | None) -> Iterator[TaskScores]:
    """Yield the scores of each task of a results file: rows where its samples lie beside it.

    A group has an entry as well, with the mean of its tasks or without; the first task says that it is left out.
    """
    date = file.stem.partition("_")[2]
    counts = content.get("n-samples") or {}
    groups = [task for task in content["results"] if _is_group(task, content)]
    results = {
        task: _shares(values) for task, values in content["results"].items() if task not in groups
    }
    if not results:
        raise UnreadableScores(f"{file.name} has no task, only {', '.join(groups) or 'nothing'}")
    named_apart(results, file.name)
    said = (f"groups are left out, their tasks count: {', '.join(groups)}",) if groups else ()
    for task, chosen in metrics_of(results, metric, file.name).items():
        samples = file.with_name(f"samples_{task}_{date}.jsonl")
        if samples.is_file():
            yield replace(of_samples(samples, task, chosen), left_out=said)
        else:
            missing = f"{samples.name} is not there, so problems are not told apart"
            yield TaskScores(
                our_name(task),
                SOURCE,
                f"lm_eval:{chosen}",
                pass_at_1=share(results[task][chosen], file.name),
                n_problems=(counts.get(task) or {}).get("effective"),
                left_out=(missing, *said),
            )
        said = ()


def of_samples(file: Path, task: str | None = None, metric: str | None = None) -> TaskScores:
    """Return the scores of a samples file; `metric` is `METRIC,FILTER`, or a metric alone."""
    lines = _lines(file)
    name, _, wanted = (metric or "").partition(",")
    filters = {str(line.get("filter", "none")) for line in lines}
    if not wanted and len(filters) > 1:
        raise UnreadableScores(
            f"{file.name} has the filters {', '.join(sorted(filters))}; name one with --metric METRIC,FILTER"
        )
    wanted = wanted or next(iter(filters))
    lines = [line for line in lines if str(line.get("filter", "none")) == wanted]
    if not lines:
        raise UnreadableScores(f"{file.name} has no sample of the filter {wanted!r}")
    named = lines[0].get("metrics")
    there = {each: lines[0].get(each) for each in named} if named else _numbers(lines[0])
    name = one_metric(there, name or None, file.name)
    return TaskScores(
        our_name(task or _task(file)),
        SOURCE,
        f"lm_eval:{name},{wanted}",
        [_row(line, name, file) for line in lines],
        [_problem(line) for line in lines],
    )


def _row(line: Json, metric: str, file: Path) -> Json:
    """Return a problem's row. Of repeats the harness keeps one score, so their texts are no sample of ours."""
    said = _flat(line.get("resps"))
    read = _flat(line.get("filtered_resps"))
    return {
        "problem_id": str(line["doc_id"]),
        "sample": 0,
        "score": share(line.get(metric), f"{file.name}, doc {line['doc_id']}"),
        "text": said[0] if len(said) == 1 else None,
        "answer": read[0] if len(read) == 1 else None,
    }


def _problem(line: Json) -> Json:
    doc = line.get("doc")
    found = (
        next((doc[name] for name in _QUESTIONS if doc.get(name)), "")
        if isinstance(doc, dict)
        else ""
    )
    return {
        "problem_id": str(line["doc_id"]),
        "question": str(found or json.dumps(doc)),
        "gold": str(line.get("target", "")),
    }


def _lines(file: Path) -> list[Json]:
    found = []
    for number, text in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
        try:
            line = json.loads(text) if text.strip() else None
        except ValueError as error:
            raise UnreadableScores(f"line {number} of {file.name} is no JSON: {error}") from error
        if line is not None:
            if not isinstance(line, dict) or "doc_id" not in line:
                raise UnreadableScores(
                    f"line {number} of {file.name} has no doc_id; is it lm_eval's?"
                )
            found.append(line)
    if not found:
        raise UnreadableScores(f"{file.name} holds no sample")
    return found


def _task(file: Path) -> str:
    """Return the task of `samples_TASK_DATE.jsonl`: the date has no underscore."""
    return file.stem.removeprefix("samples_").rpartition("_")[0] or file.stem


def _is_group(task: str, content: Mapping[str, Any]) -> bool:
    """Return whether an entry is of a group: it has no samples of its own, or tasks below it."""
    counts = content.get("n-samples")
    below = (content.get("group_subtasks") or {}).get(task)
    return bool(below) or (counts is not None and task not in counts)


def _shares(values: Mapping[str, Any]) -> Json:
    return {
        name: value
        for name, value in values.items()
        if "," in name and not name.partition(",")[0].endswith("_stderr")
    }


def _numbers(line: Json) -> Json:
    return {name: line[name] for name in line if name != "doc_id"}


def _flat(value: Any) -> list[str]:
    if isinstance(value, list):
        return [one for each in value for one in _flat(each)]
    return [] if value is None else [str(value)]
