"""A run of the recipe tina/open_rs2 that was stopped and evaluated on six tasks: what its pages have to show.

Scores are drawn from known chances of each problem, and the intervals, differences and corrections are computed by
trainer/evaluation/statistics as a worker does.

python -m tests.browser.evaluated_run http://127.0.0.1:8787   sends it to a monitor, to look at the pages.
"""

import sys
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np

from cusp.statistics import Scores, holm, paired_difference, pass_at_1
from tests.messages import Trainer, checkpoint, point, status

Json = dict[str, Any]

TASKS = {
    "aime24": (30, 4, 0.33),
    "aime25": (30, 4, 0.25),
    "amc23": (40, 4, 0.72),
    "math500": (500, 1, 0.84),
    "gpqa_diamond": (198, 1, 0.36),
    "minerva": (272, 1, 0.30),
}
"""Problems, samples a problem and mean chance of each task."""

GAINS = {0: -0.06, 250: -0.02, 400: 0.0, 450: 0.0, 800: -0.11}
"""Gain of each candidate over the reference, step 450."""

ROLES = {0: ["base"], 250: ["ladder"], 400: ["before"], 450: ["pre-transition"], 800: ["last"]}
REFERENCE, TURN = 450, 480


def send(client: Any, name: str = "open-rs2") -> Trainer:
    """Send the training, its samples and checkpoints, then the scores that a worker found."""
    trainer = Trainer(
        client,
        name=name,
        project="tina",
        config={"run": {"project": "tina", "name": "open-rs2"}, "grpo": {"learning_rate": 1e-6}},
        metadata={"evaluable": True, "recipe": True, "max_steps": 875},
    )
    _training(trainer)
    _evaluation(client, trainer)
    return trainer


def _training(trainer: Trainer) -> None:
    rng = np.random.default_rng(5)
    for start in range(0, 800, 100):
        steps = range(start + 5, start + 101, 5)
        trainer.send(*(one for step in steps for one in _step(step, rng)))
    trainer.send(*(checkpoint(step) | {"bytes": 73_911_112} for step in range(50, 801, 50)))
    trainer.send(status("finished"))


def _step(step: int, rng: np.random.Generator) -> list[Json]:
    """Return a point, and the samples of every 20th step."""
    after = max(0.0, (step - TURN) / 120)
    good = min(0.95, 0.3 + step / 300) - min(0.6, 0.5 * after) + 0.03 * rng.standard_normal()
    length = 2400 - 1.2 * min(step, TURN) + 900 * min(1.0, after) + 60 * rng.standard_normal()
    values = {"format_reward": float(np.clip(good, 0, 1)), "completion_length": float(length)}
    told = [point(step, **values, accuracy_reward=float(np.clip(good - 0.4, 0, 1)))]
    if step % 20 == 0:
        told += [_sample(step, place, broken=step > TURN and place == 0) for place in range(2)]
    return told


def _sample(step: int, place: int, *, broken: bool) -> Json:
    prompt = f"What is {step} + {place + 7}? Put the final answer within \\boxed{{}}."
    thought = f"<think>\nFirst add {place + 7} to {step}.\nThe sum is {step + place + 7}."
    ending = "\nWait, let me check that again." * 6
    answer = f"\n</think>\nThe answer is $\\boxed{{{step + place + 7}}}$."
    rewards = {"format_reward": 0.0 if broken else 1.0, "accuracy_reward": float(not broken)}
    completion = thought + (ending if broken else answer)
    return {
        "kind": "sample",
        "step": step,
        "prompt": prompt,
        "completion": completion,
        "rewards": rewards,
    }


def drawn(seed: int = 3) -> dict[int, dict[str, Scores]]:
    """Return the scores of each candidate by task, of shape (problems, samples), 0 or 1."""
    rng = np.random.default_rng(seed)
    chances = {task: rng.beta(2 * p, 2 * (1 - p), n) for task, (n, _, p) in TASKS.items()}
    return {
        step: {
            task: (rng.random((n, k)) < np.clip(chances[task] + gain, 0, 1)[:, None]).astype(float)
            for task, (n, k, _) in TASKS.items()
        }
        for step, gain in GAINS.items()
    }


def _evaluation(client: Any, trainer: Trainer) -> None:
    asked = {"worker": "w", "kinds": ["evaluate"]}
    job = client.post("/api/v1/jobs/claim", json=asked).raise_for_status().json()
    held = {row["step"]: row["id"] for row in trainer.get("/checkpoints")["checkpoints"]}
    scores = drawn()
    for step, by_task in scores.items():
        for task, found in by_task.items():
            body = {"token": job["token"], "evaluation": scored(step, held.get(step), task, found)}
            client.post(f"/api/v1/jobs/{job['id']}/evaluations", json=body).raise_for_status()
            texts = {"token": job["token"], "step": step, "task": task, "split": "report"}
            for start in range(0, found.size, 500):
                rows = written(task, found)[start : start + 500]
                told = client.post(
                    f"/api/v1/jobs/{job['id']}/evaluations/texts", json=texts | {"rows": rows}
                )
                told.raise_for_status()
    for task in TASKS:
        body = {"token": job["token"], "task": task, "problems": asked_of(task)}
        client.post(f"/api/v1/jobs/{job['id']}/problems", json=body).raise_for_status()
    result = {"comparison": compared(scores)}
    body = {"token": job["token"], "state": "done", "result": result}
    client.post(f"/api/v1/jobs/{job['id']}/finish", json=body).raise_for_status()


def scored(
    step: int,
    checkpoint_id: str | None,
    task: str,
    found: Scores,
    roles: Sequence[str] | None = None,
) -> Json:
    """Return the evaluation of one candidate on one task as a worker posts it."""
    estimate = pass_at_1(found)
    problems, samples = found.shape
    rows = [
        [f"{task}-{problem}", sample, int(found[problem, sample]), 900 + problem, "stop", 7]
        for problem in range(problems)
        for sample in range(samples)
    ]
    return {
        "checkpoint_id": checkpoint_id,
        "roles": ROLES[step] if roles is None else roles,
        "step": step,
        "task": task,
        "split": "report",
        "samples_per_problem": samples,
        "pass_at_1": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "fixed_low": estimate.fixed_low,
        "fixed_high": estimate.fixed_high,
        "n_problems": problems,
        "n_samples": problems * samples,
        "errors": 0,
        "mean_tokens": 1850.5,
        "truncated_share": 0.04,
        "rows": rows,
    }


def written(task: str, found: Scores) -> list[list[Any]]:
    """Return [problem, sample, completion, answer] of each sample: sums, wrong ones off by one."""
    rows: list[list[Any]] = []
    for problem, sample in np.ndindex(*found.shape):
        answer = str(2 * problem + 7 + int(found[problem, sample] == 0))
        text = f"<think>\nAdd {problem} and {problem + 7}.\n</think>\nIt is $\\boxed{{{answer}}}$."
        rows.append([f"{task}-{problem}", int(sample), text, answer])
    return rows


def asked_of(task: str) -> list[Json]:
    """Return the problems of a task with their gold answers."""
    return [
        {
            "problem_id": f"{task}-{problem}",
            "question": f"What is {problem} + {problem + 7}?",
            "gold": str(2 * problem + 7),
        }
        for problem in range(TASKS[task][0])
    ]


def compared(scores: dict[int, dict[str, Scores]]) -> Json:
    """Return the comparison of the candidates with the reference."""
    against = scores[REFERENCE]
    others = [step for step in scores if step != REFERENCE]
    overall = {step: paired_difference(scores[step], against) for step in others}
    adjusted = dict(zip(others, holm([overall[step].p_value for step in others]), strict=True))
    return {
        "task": " + ".join(TASKS),
        "split": "report",
        "reference": {"role": "pre-transition", "step": REFERENCE},
        "rows": [
            {
                "roles": ROLES[step],
                "step": step,
                **_row(overall[step], adjusted[step]),
                "mde": overall[step].detectable(0.05, len(others)),
                "tasks": _by_task(scores[step], against),
            }
            for step in others
        ],
        "best": {"roles": ROLES[REFERENCE], "step": REFERENCE},
        "reason": "The reference stands: no candidate is better.",
        "alpha": 0.05,
        "margin": 0.03,
        "planned_mde": 0.032,
    }


def _by_task(own: dict[str, Scores], against: dict[str, Scores]) -> list[Json]:
    found = {task: paired_difference({task: own[task]}, {task: against[task]}) for task in own}
    adjusted = holm([each.p_value for each in found.values()])
    return [
        {"task": task, **_row(each, p)}
        for (task, each), p in zip(found.items(), adjusted, strict=True)
    ]


def _row(found: Any, p_adjusted: float) -> Json:
    sure = p_adjusted <= 0.05
    verdict = ("better" if found.value > 0 else "worse") if sure else "not distinguishable"
    return {
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "fixed_low": found.fixed_low,
        "fixed_high": found.fixed_high,
        "p_value": found.p_value,
        "p_adjusted": p_adjusted,
        "verdict": verdict,
    }


if __name__ == "__main__":
    with httpx.Client(base_url=sys.argv[1], timeout=60) as to:
        print(f"{sys.argv[1]}/runs/{send(to).run_id}")
