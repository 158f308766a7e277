"""Tokens, time and price of an evaluation, told before it starts."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trainer.evaluation.forecast import FEWEST, MOST, SHARE, Lengths, forecast, pilot_sizes
from trainer.evaluation.tasks import TaskSpec, tasks_of
from trainer.jobs.pilot import Measured, lanes_of, piloted, price_of
from trainer.recipe import Recipe

VLLM = "{kind: vllm, gpu_memory_utilization: 0.9, max_model_len: null}"


@pytest.fixture
def tasks(small: Callable[..., Recipe]) -> list[TaskSpec]:
    sets = tasks_of(small("evaluation.selection_problems=400", "evaluation.report_problems=200"))
    return [sets.selection, *sets.report]


def test_a_pilot_is_a_twentieth_of_the_work_shared_as_the_work_is(tasks: list[TaskSpec]) -> None:
    samples = tasks[0].sampling.samples_per_problem
    candidates = math.ceil(2000 / (600 * samples))
    whole = candidates * 600 * samples
    sizes = pilot_sizes(tasks, candidates)
    assert sizes == [round(SHARE * whole * 2 / 3), round(SHARE * whole / 3)]
    assert sum(pilot_sizes(tasks, 1000)) <= MOST + 1
    few = [tasks[0].__class__(**{**vars(tasks[0]), "problems": tasks[0].problems[:2]})]
    assert pilot_sizes(few, FEWEST // (2 * samples) - 1) == [0]


def test_tokens_are_told_within_the_error_that_is_told(tasks: list[TaskSpec]) -> None:
    """Lengths of a reasoning model: log-normal, with the spread of Tina's (a coefficient of variation of .8)."""
    random = np.random.default_rng(0)
    within, errors = 0, []
    for _ in range(300):
        means = random.uniform(2_000, 12_000, size=2)
        sizes = pilot_sizes(tasks, 8)
        lengths: dict[str, Lengths] = {}
        truth = 0.0
        for task, mean, size in zip(tasks, means, sizes, strict=True):
            number = 8 * len(task.problems) * task.sampling.samples_per_problem
            drawn = lengths_of(random, mean, number)
            truth += drawn.sum()
            lengths[task.split] = Lengths.of(drawn[:size].tolist())
        named = [task.__class__(**{**vars(task), "name": task.split}) for task in tasks]
        told = forecast(named, 8, lengths, 3.6, tokens_per_s=1000.0)
        assert told.error is not None
        assert told.seconds == pytest.approx(told.tokens / 1000)
        assert told.usd == pytest.approx(told.tokens / 1e6)
        off = abs(told.tokens / truth - 1)
        errors.append(off)
        within += off <= told.error
    assert within / 300 >= 0.92
    assert np.quantile(errors, 0.99) < 0.25


def lengths_of(
    random: np.random.Generator, mean: float, number: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    spread = math.sqrt(math.log(1 + 0.8**2))
    drawn = random.lognormal(math.log(mean) - spread**2 / 2, spread, size=number)
    return np.minimum(drawn, 32_768).astype(np.int64)


@pytest.mark.parametrize(
    "made_before", [(0.0,) * 7, (1.0,) * 6 + (0.5,)], ids=["the first", "one that goes on"]
)
@pytest.mark.parametrize(
    ("engine", "step_s", "token_s"),
    [("vllm", 0.02, 0.00001), ("vllm", 0.03, 0.009), ("hf", 0.02, 0.00001), ("hf", 0.05, 0.005)],
    ids=["vLLM on a GPU", "vLLM on a CPU", "transformers on a GPU", "transformers on a CPU"],
)
def test_the_time_of_what_is_not_made_yet_is_told_within_a_quarter(
    tasks: list[TaskSpec],
    small: Callable[..., Recipe],
    made_before: tuple[float, ...],
    engine: str,
    step_s: float,
    token_s: float,
) -> None:
    """An engine has its costs a step and a token, and the second task's judge and prompts half as much again."""
    options = {"vllm": VLLM, "hf": "{kind: hf}"}[engine]
    recipe = small(f"evaluation.engine={options}", "run.gpu_hourly_usd=7.2")
    lanes, random = lanes_of(recipe), np.random.default_rng(1)
    now = 0.0

    def generated(task: TaskSpec, number: int) -> list[int]:
        nonlocal now
        drawn = lengths_of(random, 300 if task.split == "selection" else 900, number)
        lengths: list[int] = np.minimum(drawn, 2_000).tolist()
        work = lanes.work(lengths)
        now += (step_s * work.steps + token_s * work.tokens) * (1 + 0.5 * (task.split == "report"))
        return lengths

    def measure(task: TaskSpec, places: range) -> Measured:
        nonlocal now
        now += 100.0 * (now == 0)  # the first one loads the model
        made = generated(task, len(places))
        return Measured(made, made)

    named = [task.__class__(**{**vars(task), "name": task.split}) for task in tasks]
    sizes = dict(zip([task.name for task in named], pilot_sizes(named, 8), strict=True))

    def stored(task: TaskSpec) -> list[int]:
        """The pilot's of the first candidate, and what an evaluation before made of the others."""
        whole = len(task.problems) * task.sampling.samples_per_problem
        return [sizes[task.name], *(int(share * whole) for share in made_before)]

    told = piloted(named, 8, recipe, measure, stored, lambda: now)
    assert told is not None
    assert told.seconds is not None
    begun, completions, before = now, 0, 0
    for candidate in range(8):
        for task in named:
            whole, number = len(task.problems) * task.sampling.samples_per_problem, stored(task)
            generated(task, whole - number[candidate])
            completions, before = completions + whole, before + number[candidate]
    assert told.seconds == pytest.approx(now - begun, rel=0.25)
    assert told.usd == pytest.approx(told.seconds * 7.2 / 3600)
    assert (told.completions, told.before) == (completions, before - sum(sizes.values()))


def test_a_task_that_was_not_measured_has_the_others_length(tasks: list[TaskSpec]) -> None:
    told = forecast(tasks, 2, {"another task": Lengths(10.0, float("nan"))}, 5.0)
    assert (told.tokens, told.error, told.seconds, told.usd) == (
        10 * told.completions,
        None,
        None,
        None,
    )
    assert told.words == f"{told.completions:,} completions of about {told.tokens:,.0f} tokens"


def test_the_price_is_the_recipes_or_the_environments(
    small: Callable[..., Recipe], cusp_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert price_of(small()) is None
    monkeypatch.setenv("CUSP_GPU_HOURLY_USD", "2.5")
    assert price_of(small()) == 2.5
    assert price_of(small("run.gpu_hourly_usd=1.0")) == 1.0
