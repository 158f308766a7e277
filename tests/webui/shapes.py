"""A small run in the shapes of docs/reference/rest.md, whole and empty."""

from typing import Any

RUN_ID = "01M7YQ72PRHZHDNVMJ1MPJR16C"
STEPS = list(range(1, 61))
AT = "2026-11-21T09:00:00.000Z"

Json = dict[str, Any]


def bare_run(**changes: Any) -> Json:
    """A run that has been announced and has sent nothing."""
    run: Json = dict.fromkeys(
        (
            "status_reason",
            "phase",
            "phase_description",
            "step",
            "max_steps",
            "ended_at",
            "transition",
        )
    )
    run |= dict.fromkeys(("score", "saved_fraction", "spent_usd", "saved_usd", "last_contact_at"))
    run |= {"id": RUN_ID, "project": "demo", "name": "tiny", "tags": [], "status": "running"}
    run |= {
        "elapsed_s": 0.0,
        "still_training": [],
        "attempt_count": 1,
        "created_at": AT,
        "started_at": AT,
        "latest": {},
        "sparklines": {},
    }
    run |= {"checkpoints": {}, "quarantined": 0, "skipped": 0, "dropped": 0, "config": {}}
    run |= {"commands": [], "decisions": [], "change_points": [], "policy": {}, "metadata": {}}
    return run | changes


def run(**changes: Any) -> Json:
    """A run that was stopped at step 60 of 160 because of a transition at step 38."""
    told: Json = {
        "status": "stopped",
        "phase": "past",
        "phase_description": "Length turned up and format fell.",
        "step": 60,
        "max_steps": 160,
        "ended_at": "2026-11-21T09:01:30.000Z",
        "last_contact_at": "2026-11-21T09:01:29.000Z",
        "elapsed_s": 90.0,
        "latest": {"format_reward": 0.875, "completion_length": 34.7, "accuracy_reward": 0.083},
        "sparklines": {"format_reward": [0.5, 0.9, 0.8]},
        "transition": transition(),
        "checkpoints": {
            "pre-transition": {"id": "C30", "step": 30},
            "best": {"id": "C20", "step": 20},
        },
        "score": {
            "alias": "best",
            "step": 20,
            "pass_at_1": 0.718,
            "low": 0.674,
            "high": 0.761,
            "n": 400,
        },
        "saved_fraction": 0.62,
        "commands": [command()],
        "config": {"learning_rate": 4e-4},
    }
    return bare_run() | told | changes


def transition(**changes: Any) -> Json:
    """A confirmed transition."""
    found: Json = {"step": 38, "low": 33, "high": 42, "safe_step": 31, "seen_at_step": 53}
    return found | {"state": "confirmed"} | changes


def command(**changes: Any) -> Json:
    """A stop that was done."""
    times = dict.fromkeys(("created_at", "delivered_at", "agreed_at", "done_at"), AT)
    told: Json = {"id": "K1", "kind": "stop", "mode": "graceful", "steps": [], "state": "done"}
    told |= {"reason": "confirmed", "author": "policy", "state_reason": None, "step": 60}
    return told | times | changes


def series(name: str = "format_reward", values: list[float] | None = None) -> Json:
    """One series over all steps; steps 26 to 28 were superseded by a second attempt."""
    return {
        "name": name,
        "steps": STEPS,
        "values": values or [0.5 + step / 200 for step in STEPS],
        "attempts": [1] * len(STEPS),
        "superseded": {"steps": [26, 27, 28], "values": [0.1, 0.2, 0.3], "attempts": [1, 1, 1]},
    }


def all_series() -> list[Json]:
    """The series of the four charts and one more."""
    names = ("format_reward", "completion_length", "accuracy_reward", "grad_norm")
    return [series(name) for name in names]


def verdicts() -> Json:
    """Phases and evidence; 52 at step 53, of which format 31."""
    scores = [0.0 if step < 40 else 4.0 * (step - 40) for step in STEPS]
    return {
        "steps": STEPS,
        "phases": ["adapting" if s < 20 else "adapted" if s < 45 else "past" for s in STEPS],
        "scores": scores,
        "evidence": {
            "format_reward": [31 / 52 * score for score in scores],
            "completion_length": [21 / 52 * score for score in scores],
        },
        "watch": 20.0,
        "confirm": 36.0,
    }


def checkpoint(step: int, aliases: tuple[str, ...] = (), **changes: Any) -> Json:
    """A checkpoint; one with an alias is pinned."""
    pinned = bool(aliases)
    told: Json = {"id": f"C{step}", "run_id": RUN_ID, "step": step, "attempt": 1, "bytes": 812_345}
    told |= {"state": "pinned" if pinned else "present", "pinned": pinned, "aliases": list(aliases)}
    told |= {"path": f"checkpoint-{step}", "sha256": "ab" * 32, "created_at": AT, "scores": []}
    return told | changes


def checkpoints() -> list[Json]:
    """Plain, best, pre-transition and missing."""
    return [
        checkpoint(10),
        checkpoint(20, ("best",)),
        checkpoint(30, ("pre-transition",)),
        checkpoint(40, state="missing"),
    ]


def evaluation(step: int, pass_at_1: float, split: str = "report", **changes: Any) -> Json:
    """One scored checkpoint."""
    told: Json = {"id": f"E{step}{split}", "run_id": RUN_ID, "checkpoint_id": f"C{step}"}
    told |= {"roles": ["ladder"], "step": step, "task": "tiny-arithmetic", "split": split}
    told |= {"samples_per_problem": 2, "pass_at_1": pass_at_1, "low": pass_at_1 - 0.05}
    told |= {"fixed_low": pass_at_1 - 0.02, "fixed_high": pass_at_1 + 0.02}
    told |= {"high": pass_at_1 + 0.04, "n_problems": 200, "n_samples": 400, "errors": 0}
    return told | {"mean_tokens": 29.9, "truncated_share": 0.02, "created_at": AT} | changes


def comparison() -> Json:
    """20 is better than the last, 30 cannot be told from it."""
    rows = [
        {"roles": ["ladder"], "step": 20, "difference": 0.62, "low": 0.56, "high": 0.675},
        {"roles": ["pre-transition"], "step": 30, "difference": 0.01, "low": -0.05, "high": 0.07},
    ]
    rows[0] |= {"verdict": "better", "p_value": 1e-9, "p_adjusted": 2e-9}
    rows[1] |= {"verdict": "not distinguishable", "p_value": 0.7, "p_adjusted": 0.7}
    for row, low, high in zip(rows, (0.59, -0.02), (0.65, 0.04), strict=True):
        row |= {"fixed_low": low, "fixed_high": high, "mde": 0.08, "split": "selection"}
        row |= {"equivalent": False, "tasks": []}
    return {
        "task": "tiny-arithmetic",
        "split": "selection",
        "reference": {"role": "last", "step": 60},
        "rows": rows,
        "best": {"roles": ["ladder"], "step": 20},
        "reason": None,
        "alpha": 0.05,
        "margin": 0.03,
        "planned_mde": 0.068,
    }


def samples(*found: Json) -> Json:
    """Samples of the first attempt, in all as many as there are."""
    told = [{"attempt": 1, "seq": n, "key": f"1.{n}", **each} for n, each in enumerate(found)]
    return {"samples": told, "total": len(told)}


def page_data() -> Json:
    """Everything run_page takes beside the run."""
    return {
        "series": all_series(),
        "verdicts": verdicts(),
        "checkpoints": checkpoints(),
        "evaluations": [evaluation(20, 0.718), evaluation(30, 0.52)],
        "comparison": comparison(),
        "audit": [{"at": AT, "actor": "person", "action": "stop", "target": RUN_ID, "detail": {}}],
        "jobs": [],
        "samples": samples(
            {"step": 20, "prompt": "3 + 4?", "completion": "7", "rewards": {"format_reward": 1.0}},
            {"step": 50, "prompt": "3 + 5?", "completion": "9", "rewards": {}},
        ),
        "cursor": 77,
    }
