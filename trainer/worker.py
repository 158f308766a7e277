"""The worker: owns this box's accelerator, claims evaluation jobs and posts the scores.

    CUSP_URL=http://monitor:8787 CUSP_TOKEN=... python -m trainer.worker

What a run's base model and task are is read from the recipe in the run's own folder on this box, and
every checkpoint is hashed against what the monitor registered before a byte of it is loaded.
"""

import argparse
import dataclasses
import functools
import hashlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cusp import checkpoints, settings
from cusp.wire import Id, Name, Step, first_problem
from trainer.config import Recipe
from trainer.evaluation.comparison import Candidate, compare
from trainer.evaluation.evaluate import Evaluation, evaluate, read_evaluation, write_evaluation
from trainer.evaluation.scoring import make_verifier
from trainer.evaluation.tasks import TaskSpec, tasks_of
from trainer.monitor_client import Heartbeat, Job, JobLost, MonitorClient, MonitorRefused
from trainer.recipe import RecipeError, load_recipe
from trainer.train import RECIPE_FILE, quieten

KINDS = ("evaluate",)
Say = Callable[[str], None]


class CandidateOrder(BaseModel):
    """One candidate of an evaluate job; without a checkpoint id it is the base model."""

    model_config = ConfigDict(frozen=True)
    checkpoint_id: Id | None
    roles: tuple[Name, ...]
    step: Step
    path: str | None
    sha256: str | None


class EvaluateOrder(BaseModel):
    """The payload of an evaluate job."""

    model_config = ConfigDict(frozen=True)
    candidates: tuple[CandidateOrder, ...] = Field(min_length=1)
    reference_step: Step | None
    samples_per_problem: int | None = Field(ge=1, le=1024)
    seed: int


@dataclasses.dataclass
class Worker:
    """Claims and does jobs until `stopping` is set."""

    monitor: MonitorClient
    directory: Path
    stopping: threading.Event
    say: Say
    name: str

    def work(self, *, once: bool = False, exit_when_idle: bool = False, poll_s: float = 1.0) -> int:
        """Do jobs one after another; return how many were ended."""
        ended = 0
        while not self.stopping.is_set():
            job = self.monitor.claim(self.name, KINDS)
            if job is not None:
                ended += self.do(job)
                if once:
                    break
            elif exit_when_idle:
                break
            else:
                self.stopping.wait(poll_s)
        return ended

    def do(self, job: Job) -> bool:
        """Do one job; return whether it was ended here (a lost one is dropped)."""
        self.say(f"job {job.id}: evaluating run {job.run_id}")
        try:
            with Heartbeat(self.monitor, job, self.stopping) as heartbeat:
                result, error = self._result(job, heartbeat)
            self.monitor.finish(job, result, error)
        except (JobLost, MonitorRefused) as reason:
            self.say(f"job {job.id} dropped: {reason}")
            return False
        self.say(f"job {job.id} {'failed: ' + error if error else 'done'}")
        return True

    def _result(self, job: Job, heartbeat: Heartbeat) -> tuple[dict[str, Any] | None, str | None]:
        """Return (result, None), or (None, a sentence) when the job cannot be done."""
        try:
            return {"comparison": self.evaluate_run(job, heartbeat)}, None
        except ValidationError as error:
            return None, f"the job cannot be read: {first_problem(error)}"
        except (ValueError, OSError, RuntimeError) as error:
            return None, f"{error}"[:2_000]

    def evaluate_run(self, job: Job, heartbeat: Heartbeat) -> dict[str, Any]:
        """Score every candidate on both sets, post each as it is done, return the comparison."""
        order = EvaluateOrder.model_validate(job.payload)
        root = checkpoints.run_root(self.directory, job.run_id)
        recipe = local_recipe(root)
        tasks = tasks_of(recipe, order.samples_per_problem)
        bench = Bench(recipe, tasks, order.seed, self.directory / "cache", self.say)
        try:
            scored, left_out = self._score_all(job, order, root, bench, heartbeat)
        finally:
            bench.close()
        if not scored:
            raise ValueError(" ".join(left_out))
        return compare(scored, order.reference_step, seed=order.seed, left_out=left_out)

    def _score_all(
        self, job: Job, order: EvaluateOrder, root: Path, bench: "Bench", heartbeat: Heartbeat
    ) -> tuple[list[Candidate], list[str]]:
        """Return the scored candidates and a sentence on each that could not be scored."""
        scored: list[Candidate] = []
        left_out: list[str] = []
        total = len(order.candidates)
        for number, candidate in enumerate(order.candidates):
            report = functools.partial(
                heartbeat.report, number, total, f"scoring step {candidate.step}"
            )
            report()
            try:
                path = verified(root, candidate)
            except checkpoints.CheckpointError as error:
                left_out.append(f"Step {candidate.step} was left out: {error}.")
                continue
            both = [bench.score(path, candidate.sha256, task, report) for task in bench.tasks]
            for evaluation in both:
                self.monitor.post_evaluation(job, posted(candidate, evaluation))
                self.say(told(candidate, evaluation))
            scored.append(Candidate(candidate.roles, candidate.step, both[0], both[1]))
        heartbeat.report(total, total, "comparing")
        return scored, left_out


def local_recipe(root: Path) -> Recipe:
    """Return the recipe stored with the run on this box; RecipeError when there is none."""
    file = root / RECIPE_FILE
    if not file.is_file():
        raise RecipeError(
            f"there is no {RECIPE_FILE} in {root}, so the base model and the task are not known;"
            " train with `cusp train`, or put a recipe there"
        )
    return load_recipe(file)


def verified(root: Path, candidate: CandidateOrder) -> Path | None:
    """Return the candidate's folder after hashing it, None for the base model.

    Raises CheckpointError when it is missing, changed or not what the monitor registered.
    """
    if candidate.checkpoint_id is None or candidate.path is None:
        return None
    path = checkpoints.resolve(root, candidate.path)
    manifest = checkpoints.verify(path)
    if manifest.sha256 != candidate.sha256:
        raise checkpoints.CheckpointError(
            f"{candidate.path} is another checkpoint now than the one that was registered"
        )
    return path


class Bench:
    """Scores checkpoints of one recipe on its tasks.

    Every finished evaluation is kept on disk under a hash of what decides it, so a job that was cut
    off goes on where it was.
    """

    def __init__(
        self, recipe: Recipe, tasks: Sequence[TaskSpec], seed: int, cache: Path, say: Say
    ) -> None:
        self.tasks = tasks
        self._recipe, self._seed, self._cache, self._say = recipe, seed, cache, say
        self._verifier = make_verifier(tasks[0].verifier)
        self._base: Any = None
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
                self._verifier,
                seed=self._seed,
                progress=lambda _: report(),
            )
            write_evaluation(found, file)
        return found

    def close(self) -> None:
        """End the verifier's processes."""
        self._verifier.close()

    def _key(self, sha256: str | None, task: TaskSpec) -> str:
        base = self._recipe.model.model_dump(mode="json")
        text = json.dumps([base, sha256, task.sha256, self._seed], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _model(self, path: Path | None) -> Any:
        import torch

        from trainer.evaluation.backends.hf import with_adapter
        from trainer.model import load_base

        if self._base is None:
            self._base, self._tokenizer = load_base(self._recipe, self._cache, self._say)
            self._base.to("cuda" if torch.cuda.is_available() else "cpu")
            self._loaded = (None, self._base)
        if self._loaded[0] != path:
            self._loaded = (path, with_adapter(self._base, path) if path else self._base)
        return self._loaded[1]


def posted(candidate: CandidateOrder, evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as the monitor wants it."""
    place = {"checkpoint_id": candidate.checkpoint_id, "roles": list(candidate.roles)}
    return {**place, "step": candidate.step, **dataclasses.asdict(evaluation)}


def told(candidate: CandidateOrder, evaluation: Evaluation) -> str:
    """Return one line on a scored candidate."""
    return (
        f"step {candidate.step} ({', '.join(candidate.roles)}), {evaluation.split} set:"
        f" pass@1 {evaluation.pass_at_1:.3f} [{evaluation.low:.3f}, {evaluation.high:.3f}]"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worker until SIGTERM or Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m trainer.worker", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after one job")
    parser.add_argument("--exit-when-idle", action="store_true", help="end when no job waits")
    parser.add_argument("--poll", type=float, default=1.0, metavar="SECONDS")
    given = parser.parse_args(arguments)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        place = settings.from_environment()
        quieten()
        monitor = MonitorClient(place.url, place.token, stopping)
        name = f"{socket.gethostname()}-{os.getpid()}"
        worker = Worker(monitor, place.directory, stopping, _print, name)
        _print(f"worker {name} asks {place.url} for jobs")
        worker.work(once=given.once, exit_when_idle=given.exit_when_idle, poll_s=given.poll)
        monitor.close()
    except (MonitorRefused, settings.SettingsError) as error:
        print(f"cusp: {error}", file=sys.stderr)
        return 2
    return 0


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
