"""Rows of Tina's data sets, as their hub pages have them, through the real loading of a local data set folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from trainer.recipe import HubData, Recipe, TargetLength
from trainer.recipe_loader import load_recipe
from trainer.tiny import tokenizer as tiny_tokenizer
from trainer.training.data import DataError, training_set
from trainer.training.prompts import fitted, tokens_of

pytestmark = pytest.mark.filterwarnings("ignore")  # of datasets, not ours

SYSTEM = "Think."
TWO_THOUGHT = {
    "messages": [{"role": "user", "content": "What is 1+1?"}],
    "verification_info": json.dumps({"answer": {"value": "2"}, "type": "math_verifiable"}),
}
# name: (rows as the set has them, problem column, solution column, in dollars), (problem, solution) wanted
SETS: dict[str, tuple[list[dict[str, Any]], str, str, bool, tuple[str, str]]] = {
    "deepscaler: the answer, not the worked solution": (
        [{"problem": "What is 1+1?", "answer": "2", "solution": "Add them: \\boxed{2}."}],
        "problem", "answer", True, ("What is 1+1?", "$2$"),
    ),
    "2thought: the first message, and a value in JSON text": (
        [TWO_THOUGHT],
        "messages.0.content", "verification_info.answer.value", True, ("What is 1+1?", "$2$"),
    ),
    "open-s1 as Tina read it: the whole solution is the gold": (
        [{"solution": "So it is $2$.", "problem": "What is 1+1?", "answer": "2"}],
        "problem", "solution", False, ("What is 1+1?", "So it is $2$."),
    ),
    "open-s1 repaired: the answer": (
        [{"solution": "So it is $2$.", "problem": "What is 1+1?", "answer": "2"}],
        "problem", "answer", True, ("What is 1+1?", "$2$"),
    ),
    "STILL-3: question and answer": (
        [{"question": "What is 1+1?", "answer": "2"}],
        "question", "answer", True, ("What is 1+1?", "$2$"),
    ),
    "LIMR: prompt and answer": (
        [{"prompt": "What is 1+1?", "answer": "2"}],
        "prompt", "answer", True, ("What is 1+1?", "$2$"),
    ),
    "open-r1: the worked solution": (
        [{"problem": "What is 1+1?", "solution": "It is \\boxed{2}.", "answer": "2", "messages": []}],
        "problem", "solution", False, ("What is 1+1?", "It is \\boxed{2}."),
    ),
    "numbers that a table stores as floats": (
        [{"problem": "What is 1+1?", "answer": 2.0}, {"problem": "Half of 1?", "answer": 0.5}],
        "problem", "answer", True, ("What is 1+1?", "$2$"),
    ),
}  # fmt: skip


def recipe_of(folder: Path, problem: str, solution: str, dollars: bool, **more: Any) -> Recipe:
    data = HubData(
        kind="hub",
        id=str(folder),
        config=None,
        split="train",
        revision=None,
        problem_column=problem,
        solution_column=solution,
        solution_in_dollars=dollars,
        system_prompt=SYSTEM,
        **{"max_prompt_tokens": None, **more},
    )
    return load_recipe("tiny").model_copy(update={"data": data})


def stored(rows: list[dict[str, Any]], folder: Path) -> Path:
    """Write rows as the hub has them: a folder with a parquet file of the split."""
    (folder / "data").mkdir(parents=True)
    Dataset.from_list(rows).to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    return folder


@pytest.mark.parametrize("name", SETS)
def test_a_row_of_each_of_tinas_sets_gives_its_problem_and_gold(name: str, tmp_path: Path) -> None:
    rows, problem, solution, dollars, (asked, gold) = SETS[name]
    found = training_set(recipe_of(stored(rows, tmp_path), problem, solution, dollars), None)
    assert len(found) == len(rows)
    assert found[0]["prompt"] == [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": asked},
    ]
    assert found[0]["solution"] == gold
    assert len(set(found["id"])) == len(rows)


def documented() -> dict[str, list[str]]:
    """Return the rows of the table of data sets by recipe: the cells id, config, columns, dollars."""
    text = (Path(__file__).parents[3] / "docs/reference/training-data.md").read_text()
    table = text.partition("| recipes |")[2].partition("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip().replace("`", "") for cell in line.split("|")[1:-1]] for line in table]
    return {name: row[1:6] for row in rows for name in row[0].split(", ")}


@pytest.mark.parametrize("place", [0, 1], ids=["paper", "modern"])
def test_the_documented_columns_are_those_of_the_recipes(place: int) -> None:
    rows = documented()
    assert len(rows) == 21
    for name, cells in rows.items():
        data = load_recipe(f"tina_{name}{('', '/modern')[place]}").data
        assert isinstance(data, HubData)
        dollars = "yes" if data.solution_in_dollars else "no"
        wanted = [data.id, data.config or "", data.problem_column, data.solution_column, dollars]
        ids, *others = cells
        assert [ids, *(cell.split(" / ")[-1 if place else 0] for cell in others)] == wanted


def test_a_problem_keeps_its_id_wherever_it_stands(tmp_path: Path) -> None:
    rows = [{"problem": f"{n}+1", "answer": str(n + 1), "uid": f"u{n}"} for n in range(9)]
    one = training_set(recipe_of(stored(rows, tmp_path / "a"), "problem", "answer", True), None)
    other = training_set(
        recipe_of(stored(rows[::-1], tmp_path / "b"), "problem", "answer", True), None
    )
    assert one["id"][:] == other["id"][::-1]
    named = recipe_of(tmp_path / "a", "problem", "answer", True, id_column="uid")
    assert training_set(named, None)["id"][:] == [row["uid"] for row in rows]


def test_each_problem_asks_for_a_length_of_its_own_whatever_its_place(tmp_path: Path) -> None:
    rows = [{"problem": f"{n}+1", "answer": str(n + 1)} for n in range(300)]
    wanted = {"target_length": TargetLength(low=100, high=4000, seed=7)}
    folder = stored(rows, tmp_path / "a")
    found = training_set(recipe_of(folder, "problem", "answer", True, **wanted), None)
    lengths = dict(zip(found["id"], found["target_length"], strict=True))
    assert min(lengths.values()) >= 100
    assert max(lengths.values()) <= 4000
    assert len(set(lengths.values())) > 250
    for row in found:
        system = row["prompt"][0]["content"]
        assert system == f"{SYSTEM}\nThink for {row['target_length']} tokens."
    again = stored(rows[::-1], tmp_path / "b")
    turned = training_set(recipe_of(again, "problem", "answer", True, **wanted), None)
    assert dict(zip(turned["id"], turned["target_length"], strict=True)) == lengths
    other = {"target_length": TargetLength(low=100, high=4000, seed=8)}
    changed = training_set(recipe_of(folder, "problem", "answer", True, **other), None)
    assert changed["target_length"][:] != found["target_length"][:]


def test_a_path_that_leads_nowhere_says_what_is_there(tmp_path: Path) -> None:
    folder = stored([TWO_THOUGHT], tmp_path)
    column = "verification_info.answer.text"
    with pytest.raises(DataError, match=r"verification_info\.answer has value"):
        training_set(recipe_of(folder, "messages.0.content", column, True), None)
    with pytest.raises(DataError, match=r"has no column .*; messages has 1 items"):
        training_set(recipe_of(folder, "messages.1.content", column, True), None)
    with pytest.raises(DataError, match="it has messages, verification_info"):
        training_set(recipe_of(folder, "problem", column, True), None)


def test_long_prompts_are_left_out_or_lose_their_beginning(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer.make_tokenizer()
    rows = [{"problem": "11+22=", "answer": "33"}, {"problem": "1" * 40 + "+22=", "answer": "0"}]
    folder = stored(rows, tmp_path)
    limit = {"max_prompt_tokens": 16}
    plain = recipe_of(folder, "problem", "answer", True, **limit)
    plain = plain.model_copy(update={"data": plain.data.model_copy(update={"system_prompt": None})})
    assert [row["prompt"][0]["content"] for row in training_set(plain, tokenizer)] == ["11+22="]
    data = plain.data.model_copy(update={"long_prompts": "cut_left"})
    kept = training_set(plain.model_copy(update={"data": data}), tokenizer)
    long = kept[1]["prompt"]
    assert tokens_of(long, tokenizer) == 16
    assert long[0]["content"].endswith("1+22=")
    assert kept[0]["prompt"] == [{"role": "user", "content": "11+22="}]


def test_the_system_prompt_is_cut_before_the_problem() -> None:
    tokenizer = tiny_tokenizer.make_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}<|assistant|>"
    )
    talk = [{"role": "system", "content": "1" * 8}, {"role": "user", "content": "2" * 8}]
    whole = tokens_of(talk, tokenizer)
    cut = fitted(talk, whole - 3, "cut_left", tokenizer)
    assert cut == [{"role": "system", "content": "1" * 5}, {"role": "user", "content": "2" * 8}]
    cut = fitted(talk, whole - 10, "cut_left", tokenizer)
    assert cut == [{"role": "system", "content": ""}, {"role": "user", "content": "2" * 6}]
    assert fitted(talk, 1, "cut_left", tokenizer) is None
    assert talk[0]["content"] == "1" * 8
