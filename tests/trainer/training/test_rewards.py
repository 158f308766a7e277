"""Rewards are Tina's, and a verifier that failed never counts as wrong."""

import pytest

from trainer.recipe import CosineReward
from trainer.recipe_loader import load_recipe
from trainer.training.rewards import cosine_value, format_reward, reward_functions, reward_specs

COSINE = CosineReward(
    name="cosine", weight=2, verifier="boxed_integer", right_short=1.0, right_long=0.5,
    wrong_short=-1.0, wrong_long=-0.5, max_length=80, clamp=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("completion", "reward"),
    [
        ("thought\n</think>\nanswer", 1.0),
        ("thought</think>answer", 0.0),
        ("thought\n</think>\n\n</think>\nanswer", 0.0),
        ("thought without an end", 0.0),
        ("", 0.0),
    ],
)
def test_format_wants_the_thought_closed_exactly_once_on_its_own_line(
    completion: str, reward: float
) -> None:
    assert format_reward([completion]) == [reward]
    assert format_reward([[{"role": "assistant", "content": completion}]]) == [reward]


def test_the_functions_carry_the_names_trl_logs() -> None:
    names = [function.__name__ for function in reward_functions(load_recipe("tiny"))]
    assert names == ["format_reward", "accuracy_reward", "cosine_reward"]


def test_accuracy_and_cosine_leave_out_what_cannot_be_decided() -> None:
    _, accuracy, cosine = reward_functions(load_recipe("tiny"))
    texts, golds = ["\\boxed{42}", "\\boxed{41}", "\\boxed{42}"], ["42", "42", "no integer"]
    assert accuracy(completions=texts, solution=golds) == [1.0, 0.0, None]
    right, wrong, undecided = cosine(completions=texts, solution=golds)
    assert right is not None
    assert wrong is not None
    assert right > 0 > wrong
    assert undecided is None


def test_the_cosine_runs_from_the_short_value_to_the_long_one_and_stays_there() -> None:
    assert cosine_value(0, True, COSINE) == pytest.approx(1.0)
    assert cosine_value(80, True, COSINE) == pytest.approx(0.5)
    assert cosine_value(800, True, COSINE) == pytest.approx(0.5)
    assert cosine_value(0, False, COSINE) == pytest.approx(-1.0)
    assert cosine_value(40, False, COSINE) == pytest.approx(-0.75)
    assert cosine_value(80, False, COSINE) == pytest.approx(-0.5)


def test_without_clamp_the_cosine_goes_on_as_in_tinas_code() -> None:
    free = COSINE.model_copy(update={"clamp": False})
    assert cosine_value(160, True, free) == pytest.approx(1.0)


def test_the_detector_is_told_range_and_grading_of_each_reward() -> None:
    specs = reward_specs(load_recipe("tiny"))
    assert (specs["format_reward"].low, specs["format_reward"].high) == (0.0, 1.0)
    assert not specs["accuracy_reward"].graded
    cosine = specs["cosine_reward"]
    assert (cosine.low, cosine.high, cosine.graded) == (-1.0, 1.0, True)
