"""Suspect, verify, act on a run of the zoo, replayed with the stored scores of its checkpoints by problem.

The rules are the product's own: when a look is due and against which checkpoints (`monitor/policy/verify.py`), the
sequential test (`cusp/verification/sequential.py`), `Detector.accept` after `not_worse`, which checkpoint is kept
(`monitor/policy/keep_best.py`). The zoo has scores of saved checkpoints only, so the weights of now are the first
checkpoint at or after the step of the look, and what follows from the look follows at that step: later than in a
training, never earlier.

Scores are those of the selection set, in its order, the first `samples` of each problem; a run without
scores by problem has them drawn from its pass@1 (independent by problem and sample, from a fixed seed).
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.detector import scoring
from benchmarks.detector.cases import Case, Outcome
from cusp.protocol.run import Policy
from cusp.verification.sequential import Scores
from monitor.detector import Detector, RunShape, Sample
from monitor.policy import keep_best, verify
from monitor.policy.decide import Saved, before
from monitor.replay.verified import answered, is_stop

DRAWN = (200, 2)  # problems and samples drawn for a run that has only its pass@1


@dataclass(frozen=True)
class Verified:
    """What suspect, verify, act did with one run: stop and kept step (None: not stopped), and its looks.

    `by` says what ended the run: `held-out scores`, `signals` or `end`.
    """

    outcome: Outcome
    kept: int | None
    by: str
    looks: tuple[verify.PastLook, ...]

    @property
    def completions(self) -> int:
        """Completions generated for all looks."""
        return sum(look.completions for look in self.looks)


def score_of(case: Case, samples: int) -> dict[int, list[float]]:
    """Return the share of right samples of each problem of the selection set, by checkpoint step."""
    stored = case.problems.get("selection")
    if stored:
        return {step: bits[:, :samples].mean(axis=1).tolist() for step, bits in stored.items()}
    found = {}
    for step, rate in case.selection.items():
        seed = hashlib.sha256(f"{case.name}/{step}".encode()).digest()[:8]
        drawn = np.random.default_rng(int.from_bytes(seed, "big")).random(DRAWN) < rate
        found[step] = drawn[:, :samples].mean(axis=1).tolist()
    return found


def replayed(case: Case, preset: str = "default", samples: int = 1) -> Verified:
    """Return what Cusp does with a run whose training verifies."""
    scores = score_of(case, samples)
    shape = RunShape(
        completions_per_point=case.completions,
        completion_limit_tokens=case.completion_limit,
        rewards=case.rewards,
    )
    detector, policy, begin = Detector(shape, preset), Policy(), time.process_time()
    looks: list[verify.PastLook] = []
    asked: verify.Look | None = None
    accuracy: dict[int, float] = {}
    first: int | None = None

    for seen, (step, metrics) in enumerate(case.points, 1):
        verdict = detector.update(Sample(step, metrics))
        if "accuracy_reward" in metrics:
            accuracy[step] = metrics["accuracy_reward"]
        saved = [Saved(str(at), at, "", "") for at in scores if 0 < at <= step]
        if asked is None:
            asked = verify.due(verdict, looks, saved, accuracy, policy, max_steps=case.last)
        if asked is not None and (not looks or looks[-1].state != "pending"):
            first = step if first is None else first
            looks.append(verify.PastLook(asked.step, asked.evidence, "pending"))
        if asked is not None and step in scores:
            looks[-1] = tested(asked, step, scores, verify.scored(looks), samples)
            refuted = looks[-1].state == "not_worse" and asked.suspected
            asked = None
            if refuted:
                detector.accept()
                continue
        by = "held-out scores" if (worse := verify.decisive(looks, verdict)) else None
        t = verdict.transition
        if is_stop(verdict) and not verify.holds(verdict, looks, saved, policy):
            by = by or "signals"
        if by is not None:
            chosen = keep_best.best_scored(worse or looks, saved) or (
                before(t, saved) if t else None
            )
            kept = chosen.step if chosen else min(case.report)
            dated = (t.step, t.low, t.high) if t else (step, step, step)
            cpu = time.process_time() - begin
            outcome = Outcome(step, *dated, kept, first, seen, cpu)
            return Verified(outcome, kept, by, tuple(looks))
    outcome = Outcome(watch=first, points=len(case.points), seconds=time.process_time() - begin)
    return Verified(outcome, None, "end", tuple(looks))


def tested(
    look: verify.Look,
    now: int,
    scores: Mapping[int, Sequence[float]],
    known: Mapping[int, Scores],
    samples: int,
) -> verify.PastLook:
    """Return the look, answered by the stored scores stage by stage until the test decides.

    A completion is counted once: scores of an earlier checkpoint that an earlier look has are not generated again.
    """
    _, past = answered(look, now, scores, known)
    return replace(past, completions=samples * past.completions)


def regret(case: Case, found: Verified) -> float:
    """Return the best pass@1 of the whole run (report set) minus that of the kept checkpoint.

    A run that is not stopped keeps its last one.
    """
    kept = max(case.report) if found.kept is None else found.kept
    return max(case.report.values()) - case.report[kept]


def line(case: Case, found: Verified) -> str:
    """Return one line for a run: what ended it, and each of its looks."""
    looks = ", ".join(
        f"{look.step} {look.state.replace('_', ' ')} ({look.completions})" for look in found.looks
    )
    stopped = "not stopped" if found.kept is None else f"stopped at {found.outcome.stop}"
    return (
        f"{case.name} ({case.kind}): {stopped} by {found.by}, kept {found.kept or 'the last'}, regret"
        f" {regret(case, found):.3f}; looks at step: {looks or 'none'}"
    )


def table(named: Sequence[tuple[str, Sequence[Verified]]], cases: Sequence[Case]) -> str:
    """Return the table of several ways to verify."""
    head = ("method", "losing stopped", "by held-out scores", "healthy stopped", "regret, kept",
            "regret, with evaluation", "steps saved", "runs looked at", "looks a run",
            "completions a run", "most of one run")  # fmt: skip
    return scoring.markdown(head, [_row(name, cases, found) for name, found in named])


def _row(name: str, cases: Sequence[Case], found: Sequence[Verified]) -> list[str]:
    pairs = list(zip(cases, found, strict=True))

    def share(kind: str, by: Sequence[str]) -> str:
        part = [f.by in by for c, f in pairs if c.kind == kind]
        return f"{sum(part)}/{len(part)} ({sum(part) / max(len(part), 1):.0%})"

    completions = [f.completions for f in found]
    return [
        name,
        share("lost", ("held-out scores", "signals")),
        share("lost", ("held-out scores",)),
        share("healthy", ("held-out scores", "signals")),
        f"{np.mean([regret(c, f) for c, f in pairs]):.3f}",
        f"{np.mean([scoring.regret(c, f.outcome).evaluation for c, f in pairs]):.3f}",
        f"{np.mean([scoring.regret(c, f.outcome).saved for c, f in pairs]):.0%}",
        f"{sum(bool(f.looks) for f in found)}/{len(found)}",
        f"{np.mean([len(f.looks) for f in found]):.1f}",
        f"{np.mean(completions):.0f}",
        f"{max(completions)}",
    ]
