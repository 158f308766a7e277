"""Answers judged by the scoring of their task, in the judge's processes."""

import json
import time
from collections.abc import Iterator

import pytest

from trainer.gym.procedural import GymProblem, generator, gym_problems
from trainer.gym.task_judge import final_answer, outcome
from trainer.recipe import GymTask
from trainer.verifiers import Verifier, make_verifier

# One task of each category, and those whose scoring is more than a comparison.
TASKS = (
    "chain_sum",
    "simple_equations",
    "polynomial_equations",
    "fraction_simplification",
    "gcd",
    "prime_factorization",
    "gsm_symbolic",
    "countdown",
    "letter_counting",
    "basic_arithmetic",
    "leg_counting",
    "number_sorting",
    "syllogism",
)


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    made = make_verifier("reasoning_gym")
    yield made
    made.close()


def problem_of(task: str, **config: object) -> GymProblem:
    return gym_problems([GymTask(name=task, weight=1, config=config)], 1, 3, "report")[0]


@pytest.mark.parametrize("task", TASKS)
def test_the_gold_of_a_task_is_right_and_nonsense_wrong(task: str) -> None:
    problem = problem_of(task)
    thought = "Maybe \\boxed{0}?\n</think>\n"
    assert outcome(problem.gold, f"{thought}<answer>{problem.answer}</answer>") == "right"
    assert outcome(problem.gold, f"{thought}\\boxed{{{problem.answer}}}") == "right"
    assert outcome(problem.gold, f"{thought}<answer>qqq</answer>") == "wrong"
    assert outcome(problem.gold, thought + problem.answer) == "wrong"  # neither box nor tag


def test_an_answer_that_contains_the_right_one_is_not_right() -> None:
    problem = problem_of("chain_sum")
    entry = generator(problem.task, "{}", problem.seed)[problem.place]
    listed = f"0 or {problem.answer}"
    assert generator(problem.task, "{}", problem.seed).score_answer(listed, entry) > 0
    assert outcome(problem.gold, f"\\boxed{{{listed}}}") == "wrong"


def test_a_gold_that_this_version_does_not_generate_decides_nothing() -> None:
    problem = problem_of("chain_sum")
    other = json.dumps({**json.loads(problem.gold), "answer": "no sum"})
    assert outcome(other, f"\\boxed{{{problem.answer}}}") == "no gold"
    assert outcome("42", "\\boxed{42}") == "no gold"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\\boxed{1}\n</think>\n\\boxed{2} no, \\boxed{3}", "3"),
        ("<answer>4</answer>", "4"),
        ("<answer>\\boxed{\\text{yes}}</answer>", "yes"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{5", None),
        ("\\boxed{1}\n</think>\n2", None),
        ("6", None),
        ("<think>maybe \\boxed{7}", None),
    ],
)
def test_the_answer_is_the_last_one_after_the_thought(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


def test_an_expression_that_would_never_end_is_not_decided_and_the_others_are(
    verifier: Verifier,
) -> None:
    problem = problem_of("countdown")
    right = f"<answer>{problem.answer}</answer>"
    assert verifier.score([right], [problem.gold]) == [1.0]  # started, and reasoning-gym imported
    began = time.monotonic()
    hanging = "<answer>9**9**9**9</answer>"
    found = verifier.score([hanging, right, "none"], [problem.gold] * 3)
    assert found == [None, 1.0, 0.0]
    assert time.monotonic() - began < 30
