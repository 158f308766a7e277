"""Scores one model on one task: generates completions, verifies them, summarises the rows."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from cusp.statistics import Scores, pass_at_1
from trainer.evaluation.generate_transformers import Completion, Request, generate, sample_seed
from trainer.evaluation.sample_row import SampleRow
from trainer.evaluation.tasks import TaskSpec
from trainer.recipe import Sampling
from trainer.verifiers import Verifier

Generate = Callable[
    [Any, Any, Sequence[Request], Sampling, Callable[[int], None]], list[Completion]
]
"""Completions of (model, tokenizer, requests, sampling, progress), such as `generate_transformers.generate`."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of one model on one set: every row, and pass@1 with its two 95 % intervals.

    `low` and `high` are for problems like these, `fixed_low` and `fixed_high` for this fixed set.
    """

    task: str
    split: str
    samples_per_problem: int
    pass_at_1: float
    low: float
    high: float
    fixed_low: float
    fixed_high: float
    n_problems: int
    n_samples: int
    errors: int
    mean_tokens: float
    truncated_share: float
    rows: tuple[SampleRow, ...]

    @property
    def scores(self) -> Scores:
        """The scores as an array: one row a problem, one column a sample, NaN for undecided."""
        values = [float("nan") if row.score is None else row.score for row in self.rows]
        return np.array(values, dtype=float).reshape(-1, self.samples_per_problem)


def evaluate(
    model: Any,
    tokenizer: Any,
    task: TaskSpec,
    verifier: Verifier,
    *,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Return the scores of a model on a task; equal arguments give equal rows."""
    rows, completions = rows_of(model, tokenizer, task, verifier, seed=seed, progress=progress)
    return summary(task, rows, completions)


def rows_of(
    model: Any,
    tokenizer: Any,
    task: TaskSpec,
    verifier: Verifier,
    *,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
    generator: Generate = generate,
) -> tuple[list[SampleRow], list[Completion]]:
    """Return a row and a completion for each sample of each problem of a task, in order."""
    samples = range(task.sampling.samples_per_problem)
    asked = [(problem, sample) for problem in task.problems for sample in samples]
    prompts = {
        problem.id: tokenizer.apply_chat_template(
            list(problem.messages), tokenize=False, add_generation_prompt=True
        )
        for problem in task.problems
    }
    requests = [
        Request(prompts[problem.id], sample_seed(seed, task.name, problem.id, sample))
        for problem, sample in asked
    ]
    completions = generator(model, tokenizer, requests, task.sampling, progress)
    golds = [problem.answer for problem, _ in asked]
    scores = verifier.score([each.text for each in completions], golds)
    rows = [
        SampleRow(
            problem.id,
            sample,
            score,
            completion.tokens,
            completion.finish_reason,
            request.seed,
            completion.text,
        )
        for (problem, sample), request, completion, score in zip(
            asked, requests, completions, scores, strict=True
        )
    ]
    return rows, completions


def summary(
    task: TaskSpec, rows: Sequence[SampleRow], completions: Sequence[Completion]
) -> Evaluation:
    """Return the evaluation of `rows`; ValueError when no sample was decided."""
    k = task.sampling.samples_per_problem
    values = [float("nan") if row.score is None else row.score for row in rows]
    greedy = task.sampling.temperature == 0
    estimate = pass_at_1(np.array(values, dtype=float).reshape(-1, k), greedy=greedy)
    return Evaluation(
        task=task.name,
        split=task.split,
        samples_per_problem=k,
        pass_at_1=estimate.value,
        low=estimate.low,
        high=estimate.high,
        fixed_low=estimate.fixed_low,
        fixed_high=estimate.fixed_high,
        n_problems=estimate.problems,
        n_samples=estimate.samples,
        errors=estimate.errors,
        mean_tokens=float(np.mean([each.tokens for each in completions])),
        truncated_share=float(np.mean([each.finish_reason == "length" for each in completions])),
        rows=tuple(rows),
    )


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as JSON holds it, its rows as lists."""
    return {**asdict(evaluation), "rows": [list(row) for row in evaluation.rows]}


def write_evaluation(evaluation: Evaluation, file: Path) -> None:
    """Write an evaluation atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(as_json(evaluation)), encoding="utf-8")
    part.replace(file)


def read_evaluation(file: Path) -> Evaluation | None:
    """Return the evaluation in `file`, or None if there is none of this version's fields."""
    if not file.is_file():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    if set(content) != {field.name for field in fields(Evaluation)}:
        return None
    rows = tuple(SampleRow(*row) for row in content.pop("rows"))
    return Evaluation(**content, rows=rows)
