"""The evaluation of a recorded run, as a worker that claims its job posts it: scores of the recording, by problem."""

from typing import Any

import numpy as np

from cusp.statistics import Scores
from cusp.statistics.comparison import ScoredCandidate, compare
from tests.browser.evaluated_run import scored
from tests.browser.states.recorded import Recorded
from tests.messages import Json

WORKER = {"name": "l40s-1", "box": "l40s", "gpus": 2, "recipes": ["tiny", "tina_open_rs2"]}
TASK = "tiny-arithmetic"


class RecordedSet:
    """One recorded set of a checkpoint, as `compare` reads it."""

    def __init__(self, scores: Scores) -> None:
        self.task, self.scores = TASK, scores
        self.n_problems = len(scores)
        self.pass_at_1 = float(scores.mean())


def claim(run: Recorded, kind: str) -> Json:
    """Claim the oldest job of a kind of the run."""
    asked = {"worker": WORKER["name"], "kinds": [kind], "runs": [run.trainer.run_id]}
    job: Json = run.client.post("/api/v1/jobs/claim", json=asked).raise_for_status().json()
    return job


def evaluate(run: Recorded, job: Json) -> None:
    """Score the candidates of the run's claimed evaluation, and finish the job."""
    order = job["payload"]
    post = f"/api/v1/jobs/{job['id']}"
    candidates = [_candidate(run, each) for each in order["candidates"]]
    lines = [f"{len(candidates)} candidates, to find a difference of 8.7 points 4 times of 5"]
    for given, candidate in zip(order["candidates"], candidates, strict=True):
        for split in ("selection", "report"):
            found = getattr(candidate, split)[0].scores
            lines.append(_line(given, split, found))
            body = _posted(given, split, found)
            run.client.post(f"{post}/evaluations", json={"token": job["token"], "evaluation": body})
    result = {"comparison": compare(candidates, order["reference_step"])}
    log = {"total": len(lines), "lines": lines}
    body = {"token": job["token"], "state": "done", "result": result, "log": log}
    run.client.post(f"{post}/finish", json=body).raise_for_status()


def _candidate(run: Recorded, given: Json) -> ScoredCandidate:
    """Return the candidate with the recorded scores of its step, or of the recorded step nearest to it."""
    sets: dict[str, Any] = {}
    for split, by_step in run.case.problems.items():
        nearest = min(by_step, key=lambda step: abs(step - given["step"]))
        sets[split] = (RecordedSet(np.asarray(by_step[nearest], dtype=float)),)
    return ScoredCandidate(tuple(given["roles"]), given["step"], sets["selection"], sets["report"])


def _line(given: Json, split: str, found: Scores) -> str:
    roles = ", ".join(given["roles"])
    return f"step {given['step']} ({roles}), {split} set, {TASK}: pass@1 {found.mean():.3f}"


def _posted(given: Json, split: str, found: Scores) -> Json:
    body = scored(given["step"], given["checkpoint_id"], TASK, found, given["roles"])
    return {**body, "split": split, "mean_tokens": 41.5, "truncated_share": 0.02}
