"""Reasons why a run cannot be evaluated, verified or resumed, as sentences with the way out; None: it can.

A worker reads base model and problems from the recipe in the run's folder. A training that was not started
with `cusp train` has none, and a job that must fail is not queued.
"""

from collections.abc import Mapping
from typing import Any, Literal

Verifier = Literal["training", "function", "worker"]


def evaluation_blocked(run_id: str, metadata: Mapping[str, Any]) -> str | None:
    """Return why no worker can score the run's checkpoints; None also if `evaluable` is unknown.

    >>> evaluation_blocked("01J", {"evaluable": True}), evaluation_blocked("01J", {})
    (None, None)
    >>> evaluation_blocked("01J", {"evaluable": False, "recipe": True})[:62]
    "The run's recipe has no evaluation section, so there are no he"
    """
    if metadata.get("evaluable") is not False:
        return None
    ask = f"ask with `cusp evaluate {run_id} --recipe FILE` on the trainer's box"
    suite = f"ask for a suite with `cusp evaluate {run_id} --suite smoke`"
    if metadata.get("recipe"):
        return (
            "The run's recipe has no evaluation section, so there are no held-out problems to score"
            f" its checkpoints on; {suite}, or write one and {ask}."
        )
    return (
        "This run was not started with `cusp train`, so a worker knows neither its base model nor the"
        f" problems to score its checkpoints on; {suite} and --base MODEL, or write a recipe that names them and"
        f" {ask}."
    )


def verifier(metadata: Mapping[str, Any]) -> Verifier | None:
    """Return who can score held-out problems while the run trains: itself, else a worker, else nobody.

    >>> verifier({"verifies": "training"}), verifier({"evaluable": True}), verifier({})
    ('training', 'worker', None)
    """
    own: Verifier | None = metadata.get("verifies")
    return own or ("worker" if metadata.get("evaluable") else None)


def verification_blocked(metadata: Mapping[str, Any]) -> str | None:
    """Return why nothing can verify a suspicion on the run, so that the signals alone decide."""
    if verifier(metadata) is not None:
        return None
    return (
        "Nothing can be asked to score held-out problems of this run, so the signals alone decide: neither a recipe"
        " with an evaluation section (`cusp train`) nor a function of yours (`cusp.watch(trainer, evaluate=...)`)"
        " names any. Where the training evaluates itself (`eval_dataset`), that is compared."
    )


def resume_blocked(run: Any, status: str, step: int | None) -> str | None:
    """Return why the run cannot be resumed (from `step`, or from its end)."""
    if status in ("running", "stopping"):
        return (
            f"the run is being trained ({status}); stop it first, or wait: a trainer that is silent"
            " makes its run `lost` after a minute, and that can be resumed"
        )
    if run.metadata.get("recipe") is False:
        return (
            "this run was not started with `cusp train`, so a worker does not know how to train it;"
            f" start your own script again with CUSP_RUN_ID={run.id} and from its last checkpoint"
        )
    if status == "finished" and step is None:
        return (
            f"the run has finished at step {run.last_step}; name an earlier step to branch off from"
        )
    return None
