"""Verify job: the newest checkpoint of a run against earlier ones on its held-out selection set, in stages.

For trainings that cannot verify themselves. The plan is that of a training (`cusp.trl.verifying.rounds`), the
problems and seeds too; scores stay on disk, so that a later job scores only the weights of then.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StrictFloat, StrictInt, TypeAdapter

from cusp.checkpoints import paths
from cusp.checkpoints.manifest import CheckpointError
from cusp.errors import CuspError
from cusp.protocol.fields import Id, Step
from cusp.protocol.messages import VerifyOrder
from cusp.trl.verifying.held_out import Earlier, Score, Scored
from cusp.trl.verifying.rounds import Known, Round, rounds
from trainer.evaluation.selection_set import selection_set
from trainer.evaluation.tasks import TaskSpec
from trainer.jobs.bench import Accelerator, Bench
from trainer.jobs.client import Job, MonitorClient
from trainer.jobs.evaluate import CandidateOrder, located
from trainer.jobs.held.beat import Heartbeat
from trainer.jobs.run_folder import local_recipe
from trainer.judging import JUDGE_VERSION
from trainer.recipe import Recipe

Say = Callable[[str], None]
Beat = Callable[[str], None]
_SCORES = TypeAdapter(list[StrictFloat | StrictInt | None])


class VerifyPayload(VerifyOrder):
    """The payload of a verify job; among the candidates is the checkpoint of `step`, the weights of now."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    verification_id: Id
    step: Step
    candidates: Annotated[tuple[CandidateOrder, ...], Field(min_length=1)]


class NothingToCompare(CuspError, ValueError):
    """Too few of the checkpoints are on this box; the message names them."""


def verify_run(
    monitor: MonitorClient, directory: Path, job: Job, heartbeat: Heartbeat, say: Say
) -> dict[str, Any]:
    """Score the checkpoints until the test decides or the budget is spent; return the job's result."""
    begun = time.monotonic()
    order = VerifyPayload.model_validate(job.payload)
    recipe = local_recipe(paths.run_root(directory, job.run_id))
    found, lost = _whole(monitor, directory, job, order)
    now = next((each for each in found if each.step == order.step), None)
    earlier = [each for each in found if each.step < order.step]
    if now is None or not earlier:
        raise NothingToCompare(
            f"of steps {', '.join(str(each.step) for each in order.candidates)} too few are whole on"
            f" this box to compare step {order.step} with an earlier one. {' '.join(lost)}"
        )
    task = selection_set(recipe)
    cache = directory / "cache"

    def beat(words: str) -> None:
        heartbeat.report(0, 1, words)

    bench = Bench(recipe, [task], recipe.seed, cache, Accelerator.of(directory, job), say)
    try:
        bench.check_golds()
        scored = _scored(order, now, earlier, ProblemScores(recipe, task, bench, cache, beat))
    finally:
        bench.close()
    say(f"step {order.step} is compared on {len(scored.scores[order.step])} problems")
    scores = {str(step): list(values) for step, values in scored.scores.items()}
    took = round(time.monotonic() - begun, 3)
    return {"scores": scores, "completions": scored.completions, "seconds": took}


def _whole(
    monitor: MonitorClient, directory: Path, job: Job, order: VerifyPayload
) -> tuple[list[Earlier], list[str]]:
    """Return the checkpoints that are whole on this box, and a sentence on each other one."""
    found, lost = [], []
    for each in order.candidates:
        try:
            path = located(monitor, directory, job, each)
            found.append(Earlier(each.step, path, str(each.sha256)))
        except CheckpointError as error:
            lost.append(f"Step {each.step}: {error}.")
    return found, lost


def _scored(
    order: VerifyPayload, now: Earlier, earlier: list[Earlier], bench: "ProblemScores"
) -> Scored:
    """Return the scores, and how many completions were generated for them."""
    places = {each.path: each for each in earlier}
    known: Known = {each.sha256: bench.known(each) for each in earlier}
    plan = rounds(order.step, earlier, order, bench.problems, known)
    completions = 0
    try:
        asked = next(plan)
        while True:
            weights = now if asked.checkpoint is None else places[asked.checkpoint]
            scores, generated = bench.scores(weights, asked)
            completions += generated
            asked = plan.send(scores)
    except StopIteration as end:
        return Scored(end.value.scores, completions)


class ProblemScores:
    """Scores of checkpoints by problem, on disk under a hash of what they depend on."""

    def __init__(
        self, recipe: Recipe, task: TaskSpec, bench: Bench, cache: Path, beat: Beat
    ) -> None:
        base = [recipe.model.model_dump(mode="json"), bench.weights]
        parts = [base, task.sha256, recipe.seed, JUDGE_VERSION]
        self._inputs = json.dumps(parts, sort_keys=True)
        self._bench, self._task, self._cache, self._beat = bench, task, cache, beat

    @property
    def problems(self) -> int:
        """How many problems there are."""
        return len(self._task.problems)

    def known(self, weights: Earlier) -> list[Score]:
        """Return the stored scores of a checkpoint, from the first problem on."""
        try:
            return _SCORES.validate_json(self._file(weights).read_bytes())
        except (OSError, ValueError):  # none, or half a file: scored again
            return []

    def scores(self, weights: Earlier, asked: Round) -> tuple[list[Score], int]:
        """Return the scores of a round with these weights, and how many completions were generated."""
        found = self.known(weights)
        places = range(len(found), asked.end)
        if places:
            words = f"scoring step {weights.step}, problems {places.start + 1} to {places.stop}"
            self._beat(words)
            found += self._bench.part(weights.path, self._task, places, lambda: self._beat(words))
            self._write(weights, found)
        return found[asked.first : asked.end], len(places)

    def _write(self, weights: Earlier, found: list[Score]) -> None:
        file = self._file(weights)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part")  # two workers may share the box
        part.write_bytes(_SCORES.dump_json(found))
        part.replace(file)

    def _file(self, weights: Earlier) -> Path:
        name = hashlib.sha256(f"{weights.sha256}/{self._inputs}".encode()).hexdigest()[:32]
        return self._cache / "verifications" / f"{name}.json"
