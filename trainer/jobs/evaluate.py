"""Evaluate job: every candidate is verified, scored set by set and posted; a comparison follows.

Base model and task come from the recipe in the run's folder on this box, and every checkpoint's hash is
checked against the monitor's before it is loaded.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cusp.checkpoints import manifest, paths
from cusp.errors import CuspError
from cusp.process.file_lock import Lock
from cusp.protocol.fields import Id, Name, Step
from cusp.statistics.comparison import ALPHA, ScoredCandidate, compare
from trainer import launch
from trainer.box import Box
from trainer.evaluation.adapters import AdapterError
from trainer.evaluation.evaluate import (
    Evaluation,
    evaluate,
    read_evaluation,
    rows_of,
    write_evaluation,
)
from trainer.evaluation.screening import dropped, errors_of_stages, plan_line, planned_mde
from trainer.evaluation.tasks import SPLITS, TaskSpec, tasks_of
from trainer.jobs.client import Heartbeat, Job, MonitorClient
from trainer.jobs.run_folder import local_recipe, lock_of, look_at, verified
from trainer.recipe import PretrainedModel, Recipe
from trainer.training.hardware import device_for, free_memory
from trainer.verifiers import Score, make_verifiers

Say = Callable[[str], None]


class CandidateOrder(BaseModel):
    """One candidate of an evaluate or verify job; without a checkpoint id it is the base model."""

    model_config = ConfigDict(frozen=True)
    checkpoint_id: Id | None
    roles: tuple[Name, ...] = ()
    step: Step
    path: str | None
    sha256: str | None


class EvaluateOrder(BaseModel):
    """The payload of an evaluate job; with `screen` what is clearly worse is not scored on the report set."""

    model_config = ConfigDict(frozen=True)
    candidates: tuple[CandidateOrder, ...] = Field(min_length=1)
    reference_step: Step | None
    samples_per_problem: int | None = Field(ge=1, le=1024)
    seed: int
    screen: bool = False


class NothingScored(CuspError, ValueError):
    """No candidate could be scored; the message gives the reason for each."""


def evaluate_run(
    monitor: MonitorClient, directory: Path, job: Job, heartbeat: Heartbeat, say: Say
) -> dict[str, Any]:
    """Score the candidates, post each evaluation, and return the comparison.

    All are scored on the selection set, then those that the screen leaves on the report set.
    """
    order = EvaluateOrder.model_validate(job.payload)
    root = paths.run_root(directory, job.run_id)
    recipe = local_recipe(root)
    tasks = tasks_of(recipe, order.samples_per_problem)
    place = Accelerator.of(directory, job, lambda words: heartbeat.report(0, 0, words))
    bench = Bench(
        recipe, [tasks.selection, *tasks.report], order.seed, directory / "cache", place, say
    )
    planned = planned_mde(tasks.report, len(order.candidates) - 1)
    plan = plan_line(tasks.report, len(order.candidates) - 1, planned)
    say(plan)
    heartbeat.report(0, len(bench.tasks) * len(order.candidates), plan)
    for task in bench.tasks:
        monitor.post_problems(job, task.name, [problem.told for problem in task.problems])
    stages = Stages(monitor, job, order, directory, bench, heartbeat, say)
    alphas = errors_of_stages([tasks.selection], tasks.report) if order.screen else (0.0, ALPHA)
    try:
        stages.score(tasks.selection, order.candidates)
        if order.screen and stages.scored:
            stages.drop(alphas[0])
        for task in tasks.report:
            stages.score(task, [each for each in order.candidates if stages.goes_on(each)])
    finally:
        bench.close()
    scored = stages.candidates()
    if not scored:
        raise NothingScored(" ".join(stages.left_out))
    heartbeat.report(stages.total, stages.total, "comparing")
    return compare(
        scored,
        order.reference_step,
        alphas=alphas,
        planned_mde=planned,
        greedy=all(task.sampling.temperature == 0 for task in tasks.report),
        left_out=stages.left_out,
    )


class Stages:
    """Scores the candidates of one job, set by set; a candidate that cannot be loaded is left out of both."""

    def __init__(
        self,
        monitor: MonitorClient,
        job: Job,
        order: EvaluateOrder,
        directory: Path,
        bench: "Bench",
        heartbeat: Heartbeat,
        say: Say,
    ) -> None:
        self._monitor, self._job, self._order, self._directory = monitor, job, order, directory
        self._bench, self._heartbeat, self._say = bench, heartbeat, say
        self.scored: dict[int, list[Evaluation]] = {}  # step -> its evaluations, one for each task
        self.left_out: list[str] = []
        self._screened: set[int] = set()
        self.total, self._done = len(bench.tasks) * len(order.candidates), 0

    def score(self, task: TaskSpec, candidates: Sequence[CandidateOrder]) -> None:
        """Score these candidates on one set and post each evaluation."""
        for candidate in candidates:
            report = functools.partial(
                self._heartbeat.report,
                self._done,
                self.total,
                f"scoring step {candidate.step} on the {task.split} set, {task.name}",
            )
            report()
            self._done += 1
            try:
                path = None
                if candidate.path is not None:  # the base model has none
                    path = located(self._monitor, self._directory, self._job, candidate)
                evaluation = self._bench.score(path, candidate.sha256, task, report)
            except (manifest.CheckpointError, AdapterError) as error:
                self.left_out.append(f"Step {candidate.step} was left out: {error}.")
                self.scored.pop(candidate.step, None)
                continue
            self._monitor.post_evaluation(self._job, request_body(candidate, evaluation))
            self._say(log_line(candidate, evaluation))
            self.scored.setdefault(candidate.step, []).append(evaluation)

    def drop(self, alpha: float) -> None:
        """Leave out of the report set the candidates that are worse on the selection set."""
        self._screened = dropped(self.candidates(), self._order.reference_step, alpha)
        self.total -= len(self._screened) * (len(self._bench.tasks) - 1)
        for step in sorted(self._screened):
            self._say(
                f"step {step} is worse on the selection set; it is not scored on the report set"
            )

    def goes_on(self, candidate: CandidateOrder) -> bool:
        """Return whether a candidate is scored on the report set."""
        return candidate.step in self.scored and candidate.step not in self._screened

    def candidates(self) -> list[ScoredCandidate]:
        """Return the candidates that were scored."""
        return [
            ScoredCandidate(
                each.roles,
                each.step,
                *(
                    tuple(one for one in self.scored[each.step] if one.split == split)
                    for split in SPLITS
                ),
            )
            for each in self._order.candidates
            if each.step in self.scored
        ]


def located(monitor: MonitorClient, directory: Path, job: Job, candidate: CandidateOrder) -> Path:
    """Return the candidate's verified folder, else report to the monitor and raise CheckpointError."""
    fields = candidate.model_dump(include={"step", "path", "sha256"})
    root = paths.run_root(directory, job.run_id)
    try:
        return verified(root, str(candidate.path), candidate.sha256)
    except manifest.CheckpointError:
        registered = {"id": candidate.checkpoint_id, **fields}
        found = look_at(directory, job.run_id, registered, monitor)
        if found is not None and found.place is not None:
            return found.place
        raise


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
    """Scores checkpoints of one recipe on its tasks.

    Every finished evaluation is cached on disk under a hash of its inputs, so an interrupted job continues.
    """

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
        self._base: Any = None
        self._base_id = recipe.model.id if isinstance(recipe.model, PretrainedModel) else None
        self._tokenizer: Any = None
        self._loaded: tuple[Path | None, Any] = (None, None)

    def score(
        self, path: Path | None, sha256: str | None, task: TaskSpec, report: Callable[[], None]
    ) -> Evaluation:
        """Return the scores of the base model with the adapter in `path` (None: without)."""
        file = self._cache / "evaluations" / f"{self._key(sha256, task)}.json"
        found = read_evaluation(file)
        if found is None:
            model = self._model(path)
            found = evaluate(
                model,
                self._tokenizer,
                task,
                self._verifiers[task.verifier],
                seed=self._seed,
                progress=lambda _: report(),
            )
            write_evaluation(found, file)
        return found

    def part(
        self, path: Path, task: TaskSpec, places: range, report: Callable[[], None]
    ) -> list[Score]:
        """Return the score of one completion for each of these problems, with the adapter in `path`."""
        problems = tuple(task.problems[place] for place in places)
        model = self._model(path)
        rows, _ = rows_of(
            model,
            self._tokenizer,
            dataclasses.replace(task, problems=problems),
            self._verifiers[task.verifier],
            seed=self._seed,
            progress=lambda _: report(),
        )
        return [row.score for row in rows]

    def close(self) -> None:
        """Stop the verifier's processes and let the models go."""
        for verifier in self._verifiers.values():
            verifier.close()
        self._base, self._loaded = None, (None, None)
        free_memory()
        if self._held is not None:
            self._held.close()

    def _key(self, sha256: str | None, task: TaskSpec) -> str:
        base = self._recipe.model.model_dump(mode="json")
        text = json.dumps([base, sha256, task.sha256, self._seed], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _model(self, path: Path | None) -> Any:
        from trainer.evaluation.generate_transformers import with_adapter
        from trainer.training.model import load_base

        if self._base is None:
            base, self._tokenizer = load_base(self._recipe, self._cache, self._say)
            device, self._held = self._place.device(base.num_parameters())
            base.to(device)
            self._base, self._loaded = base, (None, base)
        if self._loaded[0] != path:
            self._loaded = (None, self._base)  # the former copy goes before the next one is made
            if path is not None:
                self._loaded = (path, with_adapter(self._base, path, self._base_id))
        return self._loaded[1]


def request_body(candidate: CandidateOrder, evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as `MonitorClient.post_evaluation` takes it."""
    place = {"checkpoint_id": candidate.checkpoint_id, "roles": list(candidate.roles)}
    rows = [list(row) for row in evaluation.rows]
    return {**place, "step": candidate.step, **dataclasses.asdict(evaluation), "rows": rows}


def log_line(candidate: CandidateOrder, evaluation: Evaluation) -> str:
    """Return a log line on a scored candidate."""
    return (
        f"step {candidate.step} ({', '.join(candidate.roles)}), {evaluation.split} set, {evaluation.task}:"
        f" pass@1 {evaluation.pass_at_1:.3f} [{evaluation.low:.3f}, {evaluation.high:.3f}]"
    )
