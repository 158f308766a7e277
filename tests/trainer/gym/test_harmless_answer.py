"""An answer is text of a model: no scoring of a task runs it as Python."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.gym.harmless_answer import EVALUATING, is_harmless
from trainer.gym.procedural import generator, gym_problems
from trainer.gym.task_judge import outcome
from trainer.recipe import GymTask

# Gives the scoring of every task an answer that names `marker`, and prints the tasks that evaluated it.
EVALUATES = """
import json, sys, warnings
from reasoning_gym import factory
warnings.simplefilter("ignore")
found, task = set(), None
def look(event, arguments):
    if task and event == "compile" and "marker" in str(arguments[0]):
        found.add(task)
    if task and event == "exec" and "marker" in getattr(arguments[0], "co_names", ()):
        found.add(task)
sys.addaudithook(look)
for name in set(factory.DATASETS) - {"composite"}:
    problems = factory.create_dataset(name, seed=1, size=1)
    entry, task = problems[0], name
    for answer in ("marker", "marker+1", "[marker]", "{marker}"):
        try:
            problems.score_answer(answer, entry)
        except Exception:
            pass
    task = None
print()  # a task prints a dot
print(json.dumps(sorted(found)))
"""


def test_the_tasks_that_evaluate_answers_are_known() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EVALUATES], capture_output=True, text=True, timeout=120, check=True
    )
    assert set(json.loads(done.stdout.splitlines()[-1])) == EVALUATING


@pytest.mark.parametrize("task", sorted(EVALUATING))
def test_an_answer_that_is_a_program_is_wrong_and_is_not_run(task: str, tmp_path: Path) -> None:
    (problem,) = gym_problems([GymTask(name=task, weight=1, config={})], 1, 3, "report")
    entries = generator(task, "{}", problem.seed)
    file = tmp_path / "run"
    bare = f"__import__('pathlib').Path({str(file)!r}).touch()"
    for program in (
        bare,
        f"[{bare}]",
        f"({bare})",
        f"(__import__)('pathlib').Path({str(file)!r}).touch()",
        f"[open({str(file)!r}, 'w') for _ in (1,)]",
    ):
        assert outcome(problem.gold, f"<answer>{program}</answer>") == "wrong"
        assert not file.exists(), program
    # It is one: the scoring itself runs it.
    with contextlib.suppress(Exception):
        entries.score_answer(bare, entries[problem.place])
    assert file.exists()


@pytest.mark.parametrize("task", sorted(EVALUATING))
def test_what_a_task_expects_is_let_through(task: str) -> None:
    for problem in gym_problems([GymTask(name=task, weight=1, config={})], 40, 5, "train"):
        assert is_harmless(task, problem.answer), problem.answer
        assert outcome(problem.gold, f"<answer>{problem.answer}</answer>") == "right"


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        ("sin(x)*exp(2*x)/3 - log(Abs (x)) + C", True),
        ("preview(x)", False),
        ("sin(preview (x))", False),
        ("(preview)(x)", False),
        ("(preview) \n(x)", False),
        ("1if x else preview(x)", False),
        ("x.free_symbols", False),
        ("x. free", False),
        ("x[0]", False),
        ("'x'", False),
        ("ｅval(x)", False),  # Python reads a wide letter as the plain one
        ("lambda: x", False),
        ("x" * 5000, False),
    ],
)
def test_an_expression_calls_elementary_functions_only(answer: str, allowed: bool) -> None:
    assert is_harmless("simple_integration", answer) is allowed
