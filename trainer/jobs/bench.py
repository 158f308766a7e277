"""Scores checkpoints of one recipe on its tasks, all in one life of the recipe's engine.

Rows are kept on disk as they are made, under a hash of what they depend on, so that an interrupted job goes on with
the next one.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cusp.process.file_lock import Lock
from trainer import launch
from trainer.box import Box
from trainer.evaluation.engines import Engine
from trainer.evaluation.engines.of_section import engine_of, identity
from trainer.evaluation.evaluate import Evaluation, Progress, rows_of, summary
from trainer.evaluation.readable_golds import check_golds
from trainer.evaluation.row_file import RowFile
from trainer.evaluation.sample_row import SampleRow
from trainer.evaluation.tasks import TaskSpec
from trainer.jobs.client import Job
from trainer.jobs.pilot import Measured
from trainer.jobs.run_folder import lock_of
from trainer.judging import JUDGE_VERSION
from trainer.recipe import HfEngine, Recipe
from trainer.training.hardware import device_for, free_memory
from trainer.training.model import weights_identity
from trainer.verifiers import Score, make_verifiers

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """Where a job's model may be computed: the box, the run's training, what the job does, how it waits."""

    box: Box
    training: Path
    doing: str
    wait: Callable[[str], None] | None = None

    @classmethod
    def of(
        cls, directory: Path, job: Job, wait: Callable[[str], None] | None = None
    ) -> "Accelerator":
        """Return that of a job; without `wait` it does not wait for a box that is taken."""
        box = Box(directory, has_gpu=launch.visible_gpus() > 0)
        return cls(box, lock_of(directory, job.run_id), f"{job.kind}s run {job.run_id}", wait)

    def device(self, parameters: int) -> tuple[str, Lock | None]:
        """Return what `device_for` does."""
        return device_for(parameters, self.training, self.box, self.doing, wait=self.wait)


class Bench:
    """Scores checkpoints of one recipe on its tasks; the engine is started when a row has to be made."""

    def __init__(
        self,
        recipe: Recipe,
        tasks: Sequence[TaskSpec],
        seed: int,
        cache: Path,
        place: Accelerator,
        say: Say,
    ) -> None:
        self.tasks, self._place = tasks, place
        self._held: Lock | None = None
        self._recipe, self._seed, self._cache, self._say = recipe, seed, cache, say
        self._verifiers = make_verifiers(task.verifier for task in tasks)
        section = recipe.evaluation
        self._options = section.engine if section is not None else HfEngine(kind="hf")
        self._engine: Engine | None = None
        self.weights = weights_identity(recipe.model)

    def check_golds(self) -> None:
        """Raise DataError with the problems whose gold answer no completion could be compared with."""
        check_golds(self.tasks, self._verifiers)

    def score(
        self, path: Path | None, sha256: str | None, task: TaskSpec, progress: Progress
    ) -> Evaluation:
        """Return the scores of the base model with the adapter in `path` (None: without)."""
        return summary(task, self._rows(path, task, self._kept(sha256, task), progress))

    def measured(
        self,
        path: Path | None,
        sha256: str | None,
        task: TaskSpec,
        places: range,
        progress: Progress,
    ) -> Measured:
        """Return the lengths of one completion for each of these problems; `score` does not make them again.

        Problems that have none yet come first: only what is new tells the pace.
        """
        kept = self._kept(sha256, task)
        ordered = sorted(task.problems, key=lambda problem: (problem.id, 0) in kept.rows)
        problems = tuple(ordered[place] for place in places)
        one = task.sampling.model_copy(update={"samples_per_problem": 1})
        part = dataclasses.replace(task, problems=problems, sampling=one)
        known = {(problem.id, 0) for problem in problems} & set(kept.rows)
        rows = self._rows(path, part, kept, progress)
        new = [row.tokens for row in rows if (row.problem_id, 0) not in known]
        return Measured([row.tokens for row in rows], new)

    def stored(self, sha256: str | None, task: TaskSpec) -> int:
        """Return how many completions of a task are kept, which `score` does not make again."""
        names, samples = {one.id for one in task.problems}, task.sampling.samples_per_problem
        rows = self._kept(sha256, task).rows
        return sum(name in names and sample < samples for name, sample in rows)

    def _kept(self, sha256: str | None, task: TaskSpec) -> RowFile:
        return RowFile(self._cache / "evaluations" / f"{self._key(sha256, task)}.jsonl")

    def part(
        self, path: Path, task: TaskSpec, places: range, report: Callable[[], None]
    ) -> list[Score]:
        """Return the score of one completion for each of these problems, with the adapter in `path`."""
        problems = tuple(task.problems[place] for place in places)
        part = dataclasses.replace(task, problems=problems)
        return [row.score for row in self._rows(path, part, None, lambda _: report())]

    def close(self) -> None:
        """Stop the verifier's processes and the engine."""
        for verifier in self._verifiers.values():
            verifier.close()
        if self._engine is not None:
            self._engine.close()
        free_memory()
        if self._held is not None:
            self._held.close()

    def _rows(
        self, path: Path | None, task: TaskSpec, kept: RowFile | None, progress: Progress
    ) -> list[SampleRow]:
        return rows_of(
            lambda requests, sampling: self._started().completions(path, requests, sampling),
            self._tokenizer,
            task,
            self._verifiers[task.verifier],
            seed=self._seed,
            kept=kept,
            progress=progress,
        )

    def _key(self, sha256: str | None, task: TaskSpec) -> str:
        base = [self._recipe.model.model_dump(mode="json"), self.weights]
        parts = [base, sha256, task.sha256, self._seed, identity(self._options), JUDGE_VERSION]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    def _tokenizer(self) -> Any:
        return self._started().tokenizer

    def _started(self) -> Engine:
        if self._engine is None:
            self._engine = engine_of(
                self._recipe,
                self._options,
                self._cache,
                place=self._device,
                say=self._say,
            )
            if self._engine.tokenizer.chat_template is None:
                self._say(
                    "the base model has no chat template: a question's text is the whole prompt; set"
                    " model.chat_template in the recipe for another"
                )
        return self._engine

    def _device(self, parameters: int) -> str:
        device, self._held = self._place.device(parameters)
        return device
