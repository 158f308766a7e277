"""Files of lighteval and lm_eval, as their trackers write them, become rows; what cannot be read is a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import Table, parquet

from cusp.cli.scores.harness_files import TaskScores, UnreadableScores
from cusp.cli.scores.importing import read

DATE = "2026-11-30T12-00-00.123456"
Json = dict[str, Any]


def lm_eval(folder: Path, scores: list[float], task: str = "gsm8k", samples: bool = True) -> Path:
    """Write results and samples as lm_eval 0.4.9 does, with the two filters of gsm8k."""
    mean = sum(scores) / len(scores)
    values: Json = {"alias": task}
    for name in ("strict-match", "flexible-extract"):
        values |= {f"exact_match,{name}": mean, f"exact_match_stderr,{name}": 0.1}
    counts = {task: {"original": 1319, "effective": len(scores)}}
    content = {"results": {task: values}, "n-samples": counts, "config": {"model": "vllm"}}
    file = folder / f"results_{DATE}.json"
    file.write_text(json.dumps(content))
    if samples:
        lines = [
            {
                "doc_id": number,
                "doc": {"question": f"How many are {number}?", "answer": f"#### {number}"},
                "target": str(number),
                "arguments": {"gen_args_0": {"arg_0": "prompt", "arg_1": {"until": []}}},
                "resps": [[f"It is {number}."]],
                "filtered_resps": [str(number)],
                "filter": name,
                "metrics": ["exact_match"],
                "doc_hash": "x",
                "exact_match": score if name == "strict-match" else 1.0,
            }
            for number, score in enumerate(scores)
            for name in ("strict-match", "flexible-extract")
        ]
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / f"samples_{task}_{DATE}.jsonl").write_text(text + "\n")
    return file


def new_detail(number: int, score: float) -> Json:
    """A line of details of lighteval 0.10 and later."""
    doc = {"query": f"q{number}", "choices": [str(number)], "gold_index": [0], "id": str(number)}
    response = {"text": [f"so {number}"], "output_tokens": [[1, 2, 3]], "input_tokens": [4]}
    return {"doc": doc, "metric": {"extractive_match": score}, "model_response": response}


def old_detail(number: int, score: float) -> Json:
    """A line of details of lighteval 0.6 to 0.9."""
    return {
        "example": f"q{number}",
        "full_prompt": f"<user>q{number}",
        "predictions": [f"so {number}"],
        "cont_tokens": [[1, 2, 3]],
        "gold": [str(number)],
        "metrics": {"extractive_match": score},
        "specifics": {"extracted_predictions": [str(number)], "extracted_golds": [str(number)]},
    }


def as_text(detail: Callable[[int, float], Json]) -> Callable[[int, float], Json]:
    """The same where lighteval could not store nested values: each is text."""
    return lambda number, score: {name: str(value) for name, value in detail(number, score).items()}


def lighteval(
    folder: Path, detail: Callable[[int, float], Json] | None, scores: list[float], short: bool
) -> Path:
    """Write results and details as lighteval's tracker does."""
    task = "lighteval|math_500|0|0"
    results = folder / "out/results/org/model"
    results.mkdir(parents=True)
    content = {
        "config_general": {"lighteval_sha": "x", "model_name": "org/model"},
        "results": {
            task: {"extractive_match": sum(scores) / len(scores), "extractive_match_stderr": 0.1},
            "all": {"extractive_match": 0.5, "extractive_match_stderr": 0.1},
        },
        "config_tasks": {task: {"effective_num_docs": len(scores)}},
    }
    file = results / f"results_{DATE}.json"
    file.write_text(json.dumps(content))
    if detail:
        details = folder / "out/details/org/model" / DATE
        details.mkdir(parents=True)
        name = task.rpartition("|")[0] if short else task
        table = Table.from_pylist([detail(number, score) for number, score in enumerate(scores)])
        parquet.write_table(table, details / f"details_{name}_{DATE}.parquet")
    return file


def only(file: Path, metric: str | None = None) -> TaskScores:
    (found,) = read(file, metric)
    return found


def test_rows_of_lm_eval_are_those_of_one_filter(tmp_path: Path) -> None:
    file = lm_eval(tmp_path, [1.0, 0.0, 1.0])
    with pytest.raises(UnreadableScores, match="'exact_match,strict-match', 'exact_match,flexible"):
        only(file)
    found = only(file, "exact_match,strict-match")
    assert (found.task, found.source) == ("gsm8k", "import:lm_eval")
    assert found.preset == "lm_eval:exact_match,strict-match"
    assert [row["score"] for row in found.rows] == [1.0, 0.0, 1.0]
    assert found.rows[2]["problem_id"] == "2"
    assert (found.rows[2]["text"], found.rows[2]["answer"]) == ("It is 2.", "2")
    asked = {"problem_id": "2", "question": "How many are 2?", "gold": "2"}
    assert found.problems[2] == asked
    alone = only(tmp_path / f"samples_gsm8k_{DATE}.jsonl", "exact_match,flexible-extract")
    assert (alone.task, [row["score"] for row in alone.rows]) == ("gsm8k", [1.0, 1.0, 1.0])


def test_results_of_lm_eval_without_samples_are_an_aggregate(tmp_path: Path) -> None:
    found = only(lm_eval(tmp_path, [1.0, 0.0], samples=False), "exact_match,strict-match")
    assert (found.rows, found.pass_at_1, found.n_problems) == ((), 0.5, 2)
    assert "is not there" in found.left_out[0]


@pytest.mark.parametrize(
    ("detail", "short"),
    [
        (new_detail, True),
        (old_detail, False),
        (as_text(new_detail), True),
        (as_text(old_detail), False),
    ],
    ids=["0.10", "0.9", "0.10 as text", "0.9 as text"],
)
def test_details_of_lighteval_are_rows_in_both_of_its_forms(
    tmp_path: Path, detail: Callable[[int, float], Json], short: bool
) -> None:
    found = only(lighteval(tmp_path, detail, [1.0, 0.0, 1.0], short))
    assert (found.task, found.source) == ("math500", "import:lighteval")
    assert found.preset == "lighteval:extractive_match"
    assert [row["score"] for row in found.rows] == [1.0, 0.0, 1.0]
    assert (found.rows[1]["text"], found.rows[1]["tokens"]) == ("so 1", 3)
    assert found.problems[1] == {"problem_id": "1", "question": "q1", "gold": "1"}
    (details,) = (tmp_path / "out/details").rglob("*.parquet")
    assert only(details).rows == found.rows


def test_results_of_lighteval_without_details_are_an_aggregate(tmp_path: Path) -> None:
    found = only(lighteval(tmp_path, None, [1.0, 0.0], False))
    assert (found.pass_at_1, found.n_problems, found.rows) == (0.5, 2, ())


def grouped(folder: Path, **tasks: Json) -> Path:
    """Write results of lm_eval with a group that has a mean and one that has none."""
    groups: Json = {"leaderboard": {" ": " "}, "mmlu": {"acc,none": 0.9, "acc_stderr,none": 0.1}}
    values = {name: {"alias": name, **each} for name, each in (groups | tasks).items()}
    counts = {task: {"original": 20, "effective": 10} for task in tasks}
    file = folder / f"results_{DATE}.json"
    file.write_text(json.dumps({"results": values, "n-samples": counts}))
    return file


def test_groups_of_lm_eval_are_left_out_and_each_task_has_its_metric(tmp_path: Path) -> None:
    both = {"exact_match,none": 0.1, "exact_match,flexible-extract": 0.2}
    file = grouped(tmp_path, mmlu_law={"acc,none": 0.4}, minerva=both)
    found = list(read(file, "exact_match,none"))
    assert [(each.task, each.preset, each.pass_at_1) for each in found] == [
        ("mmlu_law", "lm_eval:acc,none", 0.4),
        ("minerva", "lm_eval:exact_match,none", 0.1),
    ]
    assert found[0].left_out[1] == "groups are left out, their tasks count: leaderboard, mmlu"
    with pytest.raises(UnreadableScores, match="task mmlu_law, has no metric 'f1,none'"):
        list(read(file, "f1,none"))
    with pytest.raises(UnreadableScores, match="has no task, only leaderboard, mmlu"):
        list(read(grouped(tmp_path), None))


def test_a_line_of_samples_ends_where_json_lines_end(tmp_path: Path) -> None:
    said = "one\u2028two\u2029three\x85four"
    line = {"doc_id": 0, "metrics": ["acc"], "acc": 1.0, "resps": [[said]], "target": "4"}
    file = tmp_path / f"samples_x_{DATE}.jsonl"
    file.write_text(json.dumps(line, ensure_ascii=False) + "\n", encoding="utf-8")
    assert only(file).rows[0]["text"] == said


def without_suites(folder: Path, *tasks: str) -> Path:
    """Write results as lighteval does since its tasks have no suite: a task is `NAME|SHOTS`."""
    values = {task: {"extractive_match": number / 10} for number, task in enumerate(tasks, 1)}
    file = folder / f"results_{DATE}.json"
    file.write_text(json.dumps({"config_general": {}, "results": values}))
    return file


def test_tasks_of_lighteval_without_suites_keep_their_names(tmp_path: Path) -> None:
    found = list(read(without_suites(tmp_path, "aime24|0", "math_500|0"), None))
    assert [(each.task, each.pass_at_1) for each in found] == [("aime24", 0.1), ("math500", 0.2)]
    with pytest.raises(UnreadableScores, match=r"'aime24\|0' and 'aime24\|5', which are both"):
        list(read(without_suites(tmp_path, "aime24|0", "aime24|5"), None))


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("x.json", "{", "is no JSON"),
        ("x.json", '{"a": 1}', "has no results"),
        ("samples_x_1.jsonl", '{"a": 1}', "has no doc_id"),
        ("samples_x_1.jsonl", '{"doc_id": 1, "metrics": ["acc"], "acc": 7}', "not from 0 to 1"),
        ("samples_x_1.jsonl", '{"doc_id": 1, "metrics": ["a", "b"], "a": 1, "b": 0}', "'a', 'b'"),
        ("details_x_1.parquet", "no parquet", "cannot be read as Parquet"),
    ],
)
def test_what_is_no_file_of_a_harness_is_refused_with_the_reason(
    tmp_path: Path, name: str, text: str, word: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(UnreadableScores, match=word):
        list(read(file, None))
