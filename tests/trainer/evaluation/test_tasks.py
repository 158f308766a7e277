"""Tasks are named, fetched with a checksum, and chosen on without a problem that is reported on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner, Result

from cusp.cli.app import app
from cusp.errors import CuspError
from tests.hub_server import COMMIT, HubServer
from trainer.evaluation.tasks import TaskSets, lacking, tasks_of
from trainer.evaluation.tasks.catalogue import CATALOGUE
from trainer.evaluation.tasks.fetching import import_file, problems_of
from trainer.evaluation.tasks.suites import SUITES
from trainer.evaluation.tasks.task_copies import place_of, read_copy, write_copy
from trainer.judges.multiple_choice import choice_of
from trainer.recipe import Recipe
from trainer.recipe.problem_kinds import SuiteName
from trainer.recipe_files import recipe_names
from trainer.recipe_loader import RecipeError, load_recipe
from trainer.training.data import DataError

SECTION = {
    "kind": "suite",
    "suite": "smoke",
    "tasks": None,
    "selection": None,
    "seed": 0,
    "system_prompt": None,
    "opening": None,
    "sampling": {
        "samples_per_problem": 1,
        "max_new_tokens": 8,
        "temperature": 1.0,
        "top_p": 1.0,
        "batch_size": 64,
    },
}


@pytest.fixture
def own_dir(cusp_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Cusp folder of this test's own: copies of tasks would be seen by other tests."""
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "own"))
    return tmp_path / "own"


def cusp(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def with_section(**changes: object) -> Recipe:
    return load_recipe("tiny", [f"evaluation={json.dumps({**SECTION, **changes})}"])


def task(name: str, problems: int | None = None, samples: int = 1) -> dict[str, Any]:
    return {"name": name, "samples_per_problem": samples, "problems": problems}


def questions(sets: TaskSets) -> tuple[set[str], set[str]]:
    """Return the questions that are chosen on, and those that are reported on."""
    selection = {each.messages[-1]["content"] for each in sets.selection.problems}
    return selection, {
        problem.messages[-1]["content"] for each in sets.report for problem in each.problems
    }


def rows(name: str, count: int) -> list[dict[str, Any]]:
    """Return made-up rows with the columns of a benchmark."""
    source = CATALOGUE[name]
    made = []
    for n in range(count):
        answer = f"so it is \\boxed{{{n}}}." if source.gold == "last_box" else str(n)
        wrong = {column: f"{n + k}" for k, column in enumerate(source.wrong, start=1)}
        made.append({source.problem: f"{name}: what is {n}?", source.answer: answer, **wrong})
    return made


def copied(directory: Path, **counts: int) -> None:
    """Put copies of so many made-up problems into CUSP_DIR."""
    for name, count in counts.items():
        found = problems_of(CATALOGUE[name], rows(name, count))
        write_copy(directory, name, found, "made up", None)


def test_a_task_is_fetched_from_the_hub_at_a_commit_and_then_used_offline(own_dir: Path) -> None:
    source = CATALOGUE["aime24"]
    with HubServer(source.hub_id, rows("aime24", 5)) as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(own_dir / "hub")}
        command = [sys.executable, "-m", "cusp", "tasks", "fetch", "aime24", "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    (copy,) = json.loads(done.stdout)
    assert (copy["source"], copy["commit"]) == (source.hub_id, COMMIT)
    assert (copy["problems"], copy["expected"]) == (5, 30)
    assert f"/api/datasets/{source.hub_id}/revision/main" in hub.asked
    found = read_copy(own_dir, "aime24")  # the server is gone
    assert [each.answer for each in found] == list("01234")
    assert {len(each.id) for each in found} == {len("aime24-") + 12}
    listed = json.loads(cusp("tasks", "list", "--json").stdout)
    assert {each["name"]: each["here"] for each in listed["tasks"]}["aime24"] == "5 problems"
    shown = json.loads(cusp("tasks", "show", "aime24", "--json").stdout)
    assert shown["copy"] == {key: copy[key] for key in shown["copy"]}


def test_a_hub_that_cannot_be_asked_is_told_with_the_way_out(own_dir: Path) -> None:
    environment = {
        **os.environ,
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(own_dir / "hub"),
    }
    command = [sys.executable, "-m", "cusp", "tasks", "fetch", "gpqa_diamond"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "set HF_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr
    assert not place_of(own_dir, "gpqa_diamond").exists()


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv"])
def test_a_file_is_imported_and_so_is_the_copy_of_another_box(
    own_dir: Path, tmp_path: Path, ending: str
) -> None:
    from datasets import Dataset

    given = tmp_path / f"set.{ending}"
    data = Dataset.from_list(rows("minerva", 4))
    {"jsonl": data.to_json, "parquet": data.to_parquet, "csv": data.to_csv}[ending](given)
    copy = import_file(CATALOGUE["minerva"], given, own_dir)
    found = read_copy(own_dir, "minerva")
    assert (copy.commit, [each.answer for each in found]) == (None, list("0123"))
    again = import_file(CATALOGUE["minerva"], place_of(own_dir, "minerva") / copy.file, tmp_path)
    assert again.sha256 == copy.sha256


def test_a_copy_that_was_changed_or_is_missing_is_refused(own_dir: Path) -> None:
    with pytest.raises(DataError, match="fetch it with `cusp tasks fetch aime25`"):
        read_copy(own_dir, "aime25")
    copied(own_dir, aime25=3)
    (file,) = place_of(own_dir, "aime25").glob("*.jsonl")
    file.write_bytes(file.read_bytes().replace(b"what is 1", b"what is 2"))
    with pytest.raises(DataError, match="its checksum is another; fetch it again"):
        read_copy(own_dir, "aime25")


def test_rows_that_are_not_what_the_catalogue_says_are_refused() -> None:
    with pytest.raises(DataError, match=r"problem 1 of aime24 has no column 'answer'; it has"):
        problems_of(CATALOGUE["aime24"], [{"problem": "1+1", "solution": "2"}])
    with pytest.raises(DataError, match="no question or no answer"):
        problems_of(CATALOGUE["aime24"], [{"problem": "1+1", "answer": " "}])
    (kept,) = problems_of(CATALOGUE["aime24"], [{"problem": "1+1", "answer": "2"}] * 2)
    assert kept.answer == "2"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tasks", "fetch", "aime2"), "did you mean aime2"),
        (("tasks", "fetch", "smoke"), "nothing to fetch"),
        (("tasks", "fetch", "tina", "--from", "x.jsonl"), "holds the problems of one task"),
        (("tasks", "fetch", "aime24", "--from", "x.txt"), "no file with one of the endings"),
        (("tasks", "show", "tinna"), "there is no benchmark"),
    ],
)
def test_what_cannot_be_fetched_is_told_in_a_sentence(
    own_dir: Path, arguments: Sequence[str], words: str
) -> None:
    with pytest.raises(CuspError, match=words):
        cusp(*arguments)


def test_suites_are_listed_and_shown(own_dir: Path) -> None:
    text = cusp("tasks", "list").stdout
    assert all(f"\n{name} " in text for name in (*CATALOGUE, *SUITES, "champ", "tiny"))
    shown = json.loads(cusp("tasks", "show", "sober", "--json").stdout)
    assert [each["samples"] for each in shown["report"]] == [16, 16, 16, 4, 8, 4]
    assert set(SUITES) == set(get_args(SuiteName))
    reported = {each.name for each in SUITES["sober"].report}
    assert reported == {each.name for each in SUITES["tina"].report}
    assert {each.samples_per_problem for each in SUITES["tina"].report} == {1}
    assert SUITES["tina"].selection.name not in reported
    assert "A) " not in cusp("tasks", "show", "gpqa_diamond").stdout


def test_the_smoke_suite_needs_nothing_but_what_is_installed(own_dir: Path) -> None:
    sets = tasks_of(with_section())
    assert lacking(with_section()) is None
    assert [(each.name, len(each.problems)) for each in sets.report] == [
        ("champ", 20),
        ("reasoning_gym:chain_sum", 20),
    ]
    assert (sets.selection.name, len(sets.selection.problems)) == ("reasoning_gym:chain_sum", 20)
    selection, report = questions(sets)
    assert not selection & report
    assert sets == tasks_of(with_section())
    assert sets.report[0].sha256 != tasks_of(with_section(seed=1)).report[0].sha256
    assert {each.sampling.samples_per_problem for each in tasks_of(with_section(), 3).report} == {3}
    opened = tasks_of(with_section(opening="<think>\n")).selection
    assert (opened.opening, opened.problems) == ("<think>\n", sets.selection.problems)
    assert opened.sha256 != sets.selection.sha256


def test_champ_has_its_270_problems(own_dir: Path) -> None:
    whole = [task("champ"), task("tiny", 5)]
    section = {"suite": None, "tasks": whole, "selection": {"name": "tiny", "problems": 5}}
    champ, tiny = tasks_of(with_section(**section)).report
    assert len({each.id for each in champ.problems}) == len(champ.problems) == 270
    assert champ.problems[0].answer == "239"
    assert (tiny.verifier, len(tiny.problems)) == ("boxed_integer", 5)


def test_nothing_is_chosen_on_that_is_reported_on(own_dir: Path) -> None:
    copied(own_dir, math500=30)
    shared = [{"question": each["problem"].upper(), "answer": "0"} for each in rows("math500", 10)]
    found = problems_of(CATALOGUE["olympiadbench"], [*rows("olympiadbench", 20), *shared])
    write_copy(own_dir, "olympiadbench", found, "made up", None)
    section = {"suite": None, "tasks": [task("math500")]}

    def chosen_on(count: int) -> TaskSets:
        selection = {"name": "olympiadbench", "problems": count}
        return tasks_of(with_section(**section, selection=selection))

    selection, _ = questions(chosen_on(20))
    assert sum("OLYMPIADBENCH" in each.upper() for each in selection) == 20
    some = [each.id for each in chosen_on(7).selection.problems]
    write_copy(own_dir, "olympiadbench", found[::-1], "in another order", None)
    assert [each.id for each in chosen_on(7).selection.problems] == some
    with pytest.raises(
        DataError, match="olympiadbench has 20 problems for the selection set and 21"
    ):
        chosen_on(21)


def test_options_of_a_question_stand_in_an_order_that_its_id_decides(own_dir: Path) -> None:
    copied(own_dir, gpqa_diamond=60)
    section = {"suite": None, "selection": {"name": "tiny", "problems": 5}}
    (first,) = tasks_of(with_section(**section, tasks=[task("gpqa_diamond")])).report
    (again,) = tasks_of(with_section(**section, tasks=[task("gpqa_diamond")], seed=9)).report
    assert first.problems == again.problems
    golds = [choice_of(each.answer) for each in first.problems]
    letters = [gold.letter for gold in golds if gold]
    assert all(5 <= letters.count(letter) <= 27 for letter in "ABCD")  # of 60, 15 expected
    for n, (problem, gold) in enumerate(zip(first.problems, golds, strict=True)):
        assert gold is not None
        assert sorted(gold.options) == sorted(str(n + k) for k in range(4))
        assert f"\n{gold.letter}) {n}" in problem.messages[-1]["content"]
        assert "<options>" not in problem.messages[-1]["content"]
    assert first.verifier == "choice"


def test_every_tina_recipe_names_the_six_and_what_is_missing(own_dir: Path) -> None:
    names = [name for name in recipe_names() if name.startswith("tina_")]
    for recipe in map(load_recipe, names):
        assert recipe.evaluation is not None
        assert recipe.evaluation.kind == "suite"
        assert (recipe.evaluation.suite, recipe.evaluation.engine.kind) == ("tina", "vllm")
        sampling = recipe.evaluation.sampling
        assert (sampling.temperature, sampling.top_p, sampling.max_new_tokens) == (0.6, 0.95, 32768)
    assert len(names) >= 63
    recipe = load_recipe("tina_limr")
    assert "cusp tasks fetch aime24 aime25 amc23" in str(lacking(recipe))
    copied(own_dir, aime24=3, aime25=3, amc23=3, math500=5, gpqa_diamond=5, minerva=5)
    assert lacking(recipe) == (
        "the task olympiadbench is not on this box; fetch it with `cusp tasks fetch olympiadbench`"
    )
    copied(own_dir, olympiadbench=210)
    sets = tasks_of(recipe)
    assert [len(each.problems) for each in sets.report] == [3, 3, 3, 5, 5, 5]
    assert (len(sets.selection.problems), sets.selection.opening) == (200, "<think>\n")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"suite": "tinna"}, "it must be 'tina', 'sober'"),
        ({"tasks": [task("champ")]}, "null for the other"),
        ({"suite": None}, "null for the other"),
        ({"suite": None, "tasks": [task("champ")]}, "needs `selection`"),
        ({"suite": None, "tasks": [task("tiny"), task("tiny")]}, "listed twice"),
    ],
)
def test_a_section_that_contradicts_itself_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        with_section(**changes)


def test_an_unknown_task_is_told_before_anything_is_generated(
    own_dir: Path, small: Callable[..., Recipe]
) -> None:
    section = {"suite": None, "selection": {"name": "tiny", "problems": 5}}
    with pytest.raises(DataError, match="did you mean math500"):
        lacking(with_section(**section, tasks=[task("math50")]))
    with pytest.raises(CuspError, match="reasoning-gym has no task 'chain_summ'"):
        tasks_of(with_section(**section, tasks=[task("reasoning_gym:chain_summ")]))
    assert lacking(small()) is None
