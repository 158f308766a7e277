"""Suspect, verify, act on the simulated runs: the product's own rules, answers drawn from the true skill.

The weights of now are scored at the next checkpoint (every 20 or 25 steps), as by a worker that has only
saved checkpoints; a training that verifies between two steps is up to that much quicker. In its tables every
look counts as a suspicion, scheduled ones, too: delays of suspicions are those without --verify.
"""

from dataclasses import replace

from benchmarks.detector.cases import Case, Outcome
from benchmarks.detector.grpo_simulation import Run
from benchmarks.zoo import verified
from cusp.verification.sequential import STAGES


def as_case(run: Run, logging_steps: int) -> Case:
    """Return the run with answers to held-out problems at checkpoints that are logged steps."""
    every = 20 if 20 % logging_steps == 0 else 25
    steps = range(0, run.kind.steps + 1, every)  # 0: the base model
    answers = {step: run.answers(step, STAGES[-1])[:, None] for step in steps}
    return replace(run.case(logging_steps), problems={"selection": answers})


def judge(case: Case, preset: str = "default") -> Outcome:
    """Return what Cusp does with a run whose suspicions are verified."""
    found = verified.replayed(case, preset)
    kept = found.outcome.safe if found.kept is None else found.kept
    looks = tuple(look.step for look in found.looks)
    return replace(found.outcome, safe=kept, suspicions=looks, completions=found.completions)
