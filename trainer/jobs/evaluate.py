"""Evaluate job: every candidate is verified, scored set by set and posted; a comparison follows.

Base model and task come from the recipe in the run's folder on this box, and every checkpoint's hash is
checked against the monitor's before it is loaded.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cusp.checkpoints import manifest, paths
from cusp.errors import CuspError
from cusp.protocol.fields import Id, Name, Step
from cusp.statistics.comparison import ALPHA, ScoredCandidate, compare
from trainer.evaluation.adapters import AdapterError
from trainer.evaluation.evaluate import Evaluation, Progress
from trainer.evaluation.screening import dropped, errors_of_stages, plan_line, planned_mde
from trainer.evaluation.tasks import SPLITS, TaskSpec, tasks_of
from trainer.jobs.asked_evaluation import AskedEvaluation, asked_for
from trainer.jobs.bench import Accelerator, Bench
from trainer.jobs.client import Job, MonitorClient
from trainer.jobs.held.beat import Heartbeat
from trainer.jobs.pilot import Measured, piloted
from trainer.jobs.run_folder import look_at, verified
from trainer.recipe import Recipe

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
    asked: AskedEvaluation = AskedEvaluation()

    @property
    def places(self) -> list[str]:
        """Where the candidates' checkpoints lie, below the run's root."""
        return [each.path for each in self.candidates if each.path is not None]


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
    recipe = asked_for(root, order.asked, order.places)
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
        bench.check_golds()
        stages.tell_cost(recipe)
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
        bench: Bench,
        heartbeat: Heartbeat,
        say: Say,
    ) -> None:
        self._monitor, self._job, self._order, self._directory = monitor, job, order, directory
        self._bench, self._heartbeat, self._say = bench, heartbeat, say
        self.scored: dict[int, list[Evaluation]] = {}  # step -> its evaluations, one for each task
        self.left_out: list[str] = []
        self._screened: set[int] = set()
        self.total, self._done = len(bench.tasks) * len(order.candidates), 0

    def tell_cost(self, recipe: Recipe) -> None:
        """Say how many tokens are to be generated, how long that takes and what it costs, after a pilot."""
        # An adapter, as all candidates but the base model are: with it vLLM on a CPU takes six times as long.
        candidates, words = self._order.candidates, "measuring how long completions are"
        adapters = [each for each in candidates if each.path is not None] or candidates
        chosen = {  # one that has most to make: what is stored tells no pace
            (task.name, task.split): min(
                adapters, key=lambda each: self._bench.stored(each.sha256, task)
            )
            for task in self._bench.tasks
        }

        def measure(task: TaskSpec, places: range) -> Measured:
            first, path = chosen[task.name, task.split], None
            if first.path is not None:
                path = located(self._monitor, self._directory, self._job, first)
            return self._bench.measured(
                path,
                first.sha256,
                task,
                places,
                lambda _: self._heartbeat.report(0, self.total, words),
            )

        def stored(task: TaskSpec) -> list[int]:
            return [self._bench.stored(one.sha256, task) for one in self._order.candidates]

        try:
            told = piloted(self._bench.tasks, len(self._order.candidates), recipe, measure, stored)
        except (manifest.CheckpointError, AdapterError):
            return  # told when it is scored
        if told is not None:
            self._say(f"to generate: {told.words}")
            self._heartbeat.report(0, self.total, told.words)

    def score(self, task: TaskSpec, candidates: Sequence[CandidateOrder]) -> None:
        """Score these candidates on one set and post each evaluation."""
        for candidate in candidates:
            progress = self._progress(task, candidate)
            progress(0)
            self._done += 1
            try:
                path = None
                if candidate.path is not None:  # the base model has none
                    path = located(self._monitor, self._directory, self._job, candidate)
                evaluation = self._bench.score(path, candidate.sha256, task, progress)
            except (manifest.CheckpointError, AdapterError) as error:
                self.left_out.append(f"Step {candidate.step} was left out: {error}.")
                self.scored.pop(candidate.step, None)
                continue
            self._monitor.post_evaluation(self._job, request_body(candidate, evaluation))
            self._say(log_line(candidate, evaluation))
            self.scored.setdefault(candidate.step, []).append(evaluation)

    def _progress(self, task: TaskSpec, candidate: CandidateOrder) -> Progress:
        """Return what reports the number of rows that are there; JobLost once the job is lost."""
        rows = len(task.problems) * task.sampling.samples_per_problem
        words = f"scoring step {candidate.step} on the {task.split} set, {task.name}"
        done = self._done

        def report(there: int) -> None:
            self._heartbeat.report(done, self.total, f"{words}, {there} of {rows} completions")

        return report

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
