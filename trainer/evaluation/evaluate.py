"""Scores one model on one task: generates completions, verifies them as they finish, summarises the rows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from cusp.statistics import Estimate, Scores, majority_at_k, pass_at_1
from trainer.evaluation.engines import Completion, Draw, Finished, Request, sample_seed
from trainer.evaluation.row_file import RowFile
from trainer.evaluation.sample_row import SampleRow
from trainer.evaluation.tasks import Problem, TaskSpec
from trainer.judges.final_text import opened_by
from trainer.verifiers import Verifier, preset_of

Progress = Callable[[int], None]
"""Called with the number of rows whose completions are there."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of one model on one set: every row, and pass@1 with its two 95 % intervals.

    `low` and `high` are for problems like these, `fixed_low` and `fixed_high` for this fixed set. `maj_at_k` and its
    interval for problems like these are None where a problem has one sample, or the rows have no answers. `preset` says
    how answers were judged.
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
    maj_at_k: float | None = None
    maj_low: float | None = None
    maj_high: float | None = None
    preset: str | None = None

    @property
    def scores(self) -> Scores:
        """The scores as an array: one row a problem, one column a sample, NaN for undecided."""
        values = [float("nan") if row.score is None else row.score for row in self.rows]
        return np.array(values, dtype=float).reshape(-1, self.samples_per_problem)


def evaluate(
    draw: Draw, tokenizer: Any, task: TaskSpec, verifier: Verifier, *, seed: int
) -> Evaluation:
    """Return the scores of a model on a task; with `hf` on one machine, equal arguments give equal rows."""
    return summary(task, rows_of(draw, lambda: tokenizer, task, verifier, seed=seed))


def rows_of(
    draw: Draw,
    tokenizer: Callable[[], Any],
    task: TaskSpec,
    verifier: Verifier,
    *,
    seed: int,
    kept: RowFile | None = None,
    progress: Progress = lambda _: None,
) -> list[SampleRow]:
    """Return a row for each sample of each problem of a task, in order.

    Rows that `kept` has are not made again, but judged again where that was not decided; each other one is added to
    it as soon as it is scored. Where it has all, and all are decided, `draw` and `tokenizer` are not called.
    """
    known = {} if kept is None else dict(kept.rows)
    samples = range(task.sampling.samples_per_problem)
    places = [(problem, sample) for problem in task.problems for sample in samples]
    unsure = [each for each in places if _is_unsure(known.get((each[0].id, each[1])))]
    if unsure:  # the processes that judge may have ended, or the box may have been too slow
        again = [known[problem.id, sample] for problem, sample in unsure]
        texts = [Completion(str(row.text), row.tokens, row.finish_reason) for row in again]
        scored = _scoring(unsure, _requests(unsure, tokenizer(), task, seed), verifier, kept)
        known |= {(row.problem_id, row.sample): row for row in scored(list(enumerate(texts)))}
    asked = [each for each in places if (each[0].id, each[1]) not in known]
    if asked:
        requests = _requests(asked, tokenizer(), task, seed)
        scored = _scoring(asked, requests, verifier, kept)
        drawn = _counted(draw(requests, task.sampling), len(known), progress)
        known |= {(row.problem_id, row.sample): row for row in _beside(drawn, scored)}
    return [known[problem.id, sample] for problem, sample in places]


def _is_unsure(row: SampleRow | None) -> bool:
    return row is not None and row.score is None and row.text is not None


def _scoring(
    asked: Sequence[tuple[Problem, int]],
    requests: Sequence[Request],
    verifier: Verifier,
    kept: RowFile | None,
) -> Callable[[Finished], list[SampleRow]]:
    """Return what scores completions and keeps their rows."""

    def scored(finished: Finished) -> list[SampleRow]:
        golds = [asked[place][0].answer for place, _ in finished]
        texts = [opened_by(requests[place].prompt, each.text) for place, each in finished]
        scores, answers = verifier.score(texts, golds), verifier.answers(texts, golds)
        rows = [
            _row(*asked[place], requests[place], completion)._replace(score=score, answer=answer)
            for (place, completion), score, answer in zip(finished, scores, answers, strict=True)
        ]
        if kept is not None:
            kept.add(rows)
        return rows

    return scored


def _requests(
    asked: Sequence[tuple[Problem, int]], tokenizer: Any, task: TaskSpec, seed: int
) -> list[Request]:
    prompts = {problem.id: _prompt(problem, tokenizer) + task.opening for problem, _ in asked}
    return [
        Request(prompts[problem.id], sample_seed(seed, task.name, problem.id, sample))
        for problem, sample in asked
    ]


def _prompt(problem: Problem, tokenizer: Any) -> str:
    """Return the conversation as the chat template has it; without one its texts, begun as the tokenizer begins."""
    if tokenizer.chat_template is not None:
        rendered = tokenizer.apply_chat_template(
            list(problem.messages), tokenize=False, add_generation_prompt=True
        )
        return str(rendered)
    first = tokenizer("")["input_ids"][:1]  # Llama 3 and Mistral have a token for it, Qwen has none
    begin = tokenizer.bos_token if first and first[0] == tokenizer.bos_token_id else ""
    return str(begin) + "\n\n".join(each["content"] for each in problem.messages)


def _row(problem: Problem, sample: int, request: Request, completion: Completion) -> SampleRow:
    """Return the row of a completion that is not scored yet."""
    return SampleRow(
        problem_id=problem.id,
        sample=sample,
        score=None,
        tokens=completion.tokens,
        finish_reason=completion.finish_reason,
        seed=request.seed,
        text=completion.text,
    )


def _counted(drawn: Iterator[Finished], known: int, progress: Progress) -> Iterator[Finished]:
    for finished in drawn:
        yield finished
        known += len(finished)
        progress(known)


def _beside(
    drawn: Iterable[Finished], scored: Callable[[Finished], list[SampleRow]]
) -> list[SampleRow]:
    """Return the rows of completions, which are scored in a thread while the next ones are generated.

    While it is busy they gather, so that a slow verifier is asked seldom about many, not often about one.
    """
    rows: list[SampleRow] = []
    waiting: Finished = []
    running: Future[list[SampleRow]] | None = None
    with ThreadPoolExecutor(1, "cusp-verifier") as pool:
        for finished in drawn:
            waiting += finished
            if running is None or running.done():
                rows += running.result() if running is not None else []
                running, waiting = pool.submit(scored, waiting), []
        rows += running.result() if running is not None else []
        return rows + (scored(waiting) if waiting else [])


def summary(task: TaskSpec, rows: Sequence[SampleRow]) -> Evaluation:
    """Return the evaluation of `rows`; ValueError when no sample was decided."""
    k = task.sampling.samples_per_problem
    values = [float("nan") if row.score is None else row.score for row in rows]
    greedy = task.sampling.temperature == 0
    estimate = pass_at_1(np.array(values, dtype=float).reshape(-1, k), greedy=greedy)
    majority = majority_of(rows, k)
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
        mean_tokens=float(np.mean([row.tokens for row in rows])),
        truncated_share=float(np.mean([row.finish_reason == "length" for row in rows])),
        rows=tuple(rows),
        maj_at_k=majority.value if majority else None,
        maj_low=majority.low if majority else None,
        maj_high=majority.high if majority else None,
        preset=preset_of(task.verifier),
    )


def majority_of(rows: Sequence[SampleRow], samples: int) -> Estimate | None:
    """Return maj@k; None for one sample a problem, and where no row has an answer."""
    if samples == 1 or not any(row.answer is not None for row in rows):
        return None
    votes = [(row.answer, row.score) for row in rows]
    return majority_at_k([votes[n : n + samples] for n in range(0, len(votes), samples)])
