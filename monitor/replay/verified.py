"""The fold of a replay: verdict by verdict, with the verifications that a suspicion asks for. Pure.

Suspect, verify, act, as the monitor does (`monitor/policy/verify.py`): a suspicion is looked at on held-out
problems where there are scores; `worse` stops once a second look or the signals say so, too, `not_worse` is taken
by the detector as harmless, `undecided` looks again. Where there are none the signals alone decide.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from cusp.protocol.run import Policy
from cusp.verification.sequential import Comparison, Outcome, Scores, sequential_test
from monitor.detector import Detector, Sample, Verdict
from monitor.policy import keep_best, verify
from monitor.policy.decide import Saved
from monitor.replay.readers.checkpoint_scores import CheckpointScores


@dataclass(frozen=True)
class ReplayedLook:
    """A verification asked for at `step`: the weights of step `measured` against earlier ones.

    `completions` are the scores that it takes, those of earlier looks left out. `refutes`: the detector takes the
    weights as harmless.
    """

    step: int
    measured: int
    outcome: Outcome
    compared: tuple[Comparison, ...]
    completions: int
    refutes: bool


@dataclass
class Course:
    """What became of a run: `verdicts` after each sample, `looks`, and the step it is stopped after.

    `keep` is the best of the checkpoints that the looks scored; None where none did, or nothing stopped the run.
    `worse` is the look that stopped it.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    looks: list[ReplayedLook] = field(default_factory=list)
    verify_step: int | None = None
    stop_step: int | None = None
    keep: int | None = None
    worse: ReplayedLook | None = None


class Follower:
    """Folds the samples of one run; `fresh` makes its detector.

    `saved` returns the checkpoints that there are at a step. Without `held_out` no look is answered.
    """

    def __init__(
        self,
        fresh: Callable[[], Detector],
        boundaries: Sequence[int],
        saved: Callable[[int], Sequence[int]],
        held_out: CheckpointScores | None,
        policy: Policy,
        max_steps: int | None,
    ) -> None:
        self._fresh = fresh
        self._boundaries = boundaries
        self._saved = saved
        self._held_out = held_out
        self._policy = policy
        self._max_steps = max_steps
        self._past: list[verify.PastLook] = []
        self._accuracy: dict[int, float] = {}
        self._found = Course()

    def follow(self, samples: Sequence[Sample]) -> Course:
        """Return what becomes of the run."""
        found, accepted = self._found, list[int]()
        rest = self._folded(samples, accepted)
        for done, sample in enumerate(samples, 1):
            found.verdicts.append(next(rest))
            self._accuracy.update(_accuracy(sample))
            if found.stop_step is not None:
                continue
            look = self._look(found.verdicts[-1])
            if look and look.refutes:
                accepted.append(look.measured)
                rest = self._folded(samples, accepted)
                found.verdicts = [next(rest) for _ in range(done)]
            self._stop(found.verdicts[-1])
        if found.worse is not None:
            found.verdicts = _confirmed(found, found.worse)
        return found

    def _folded(self, samples: Sequence[Sample], accepted: Sequence[int]) -> Iterator[Verdict]:
        """Yield the verdicts; a boundary comes before the values of its step, an acceptance after them."""
        detector = self._fresh()
        restarts = [(step, detector.boundary) for step in self._boundaries]
        restarts += [(step + 1, detector.accept) for step in accepted]
        waiting = sorted(restarts, key=itemgetter(0))
        for sample in samples:
            while waiting and waiting[0][0] <= sample.step:
                waiting.pop(0)[1]()
            yield detector.update(sample)

    def _look(self, verdict: Verdict) -> ReplayedLook | None:
        """Ask for a verification if one is due, and answer it where there are scores."""
        found, told = self._found, self._held_out
        if told is None and found.verify_step is not None:
            return None
        now = told.at(verdict.step) if told else verdict.step
        due = self._due(verdict, now)
        if due is None:
            return None
        if due.suspected and found.verify_step is None:
            found.verify_step = verdict.step
        if told is None or now is None:
            return None
        look, past = answered(due, now, told.scores, verify.scored(self._past))
        found.looks.append(look)
        self._past.append(past)
        return look

    def _due(self, verdict: Verdict, now: int | None) -> verify.Look | None:
        """Return the look at the weights of step `now` that is due; none at weights that had the last one."""
        looks, told = self._found.looks, self._held_out
        if now is None or (looks and looks[-1].measured == now):
            return None
        saved = self._checkpoints(verdict)
        limit = self._max_steps if told else None  # without scores a scheduled look tells nothing
        return verify.due(
            verdict, self._past, saved, self._accuracy, self._policy, now=now, max_steps=limit
        )

    def _checkpoints(self, verdict: Verdict) -> list[Saved]:
        """Return the checkpoints that there are at the verdict's step; of those with scores, where some have."""
        steps = self._held_out.scores if self._held_out else self._saved(verdict.step)
        return [Saved(str(step), step, "", "") for step in steps if step <= verdict.step]

    def _holds(self, verdict: Verdict) -> bool:
        """Return whether held-out scores decide: none do once the last checkpoint with scores was looked at."""
        measured = max((look.measured for look in self._found.looks), default=0)
        left = self._held_out and max(self._held_out.scores) > measured
        there = self._checkpoints(verdict) if left else ()
        return verify.holds(verdict, self._past, there, self._policy)

    def _stop(self, verdict: Verdict) -> None:
        """Stop by held-out scores, or by the signals where none are pending or spoke against it."""
        worse, found = verify.decisive(self._past, verdict), self._found
        if worse:
            found.worse = found.looks[len(worse) - 1]
        elif not is_stop(verdict) or self._holds(verdict):
            return
        found.stop_step = verdict.step
        looks = worse or self._past
        scored = [Saved(str(step), step, "", "") for step in verify.scored(looks)]
        kept = keep_best.best_scored(looks, scored)
        found.keep = kept.step if kept else None


def _accuracy(sample: Sample) -> dict[int, float]:
    value = sample.metrics.get("accuracy_reward")
    return {} if value is None else {sample.step: value}


def is_stop(verdict: Verdict) -> bool:
    """Return whether the signals alone stop the run."""
    t = verdict.transition
    return verdict.phase == "collapsed" or (t is not None and t.state == "confirmed")


def answered(
    due: verify.Look, now: int, scores: Mapping[int, Scores], known: Mapping[int, Scores]
) -> tuple[ReplayedLook, verify.PastLook]:
    """Return the look, scored in growing stages until it is decided, and what later ones know of it.

    As in a training (`cusp.trl.verifying.rounds`) a further stage scores the checkpoints that are better than now.
    """
    steps, problems = [one.step for one in due.candidates], len(scores[now])
    earlier, left = dict[int, Scores](), steps
    for stage in due.stages:
        earlier |= {step: scores[step][:stage] for step in left}
        result = sequential_test(scores[now][:stage], earlier, alpha=due.alpha)
        if result.outcome != "undecided" or stage >= problems:
            break
        left = [step for step in steps if step in result.better]
    new = [scores[now][:stage], *(earlier[step][len(known.get(step, ())) :] for step in steps)]
    completions = sum(score is not None for part in new for score in part)
    refutes = due.suspected and result.outcome == "not_worse"
    look = ReplayedLook(due.step, now, result.outcome, result.comparisons, completions, refutes)
    longest = {step: max(earlier[step], known.get(step, ()), key=len) for step in steps}
    return look, verify.answered(due, result.outcome, now, longest, completions)


def _confirmed(found: Course, look: ReplayedLook) -> list[Verdict]:
    """Return the verdicts; from the stop on the transition is in force, as held-out scores confirmed it."""
    worst = min(look.compared, key=lambda one: one.difference)
    at = next(i for i, verdict in enumerate(found.verdicts) if verdict.step == found.stop_step)
    seen = found.verdicts[at]
    said = (
        f"Held-out scores at step {look.step} are worse (weights of step {look.measured}):"
        f" {verify.said(worst)}. {seen.words}"
    )
    points = tuple(
        replace(one, state="confirmed") if one.state == "provisional" else one
        for one in seen.change_points
    )
    stopped = replace(
        seen,
        phase="past" if seen.transition else seen.phase,
        transition=seen.transition and replace(seen.transition, state="confirmed"),
        change_points=points,
        words=said,
    )
    later = [
        replace(stopped, step=one.step, score=one.score, evidence=one.evidence)
        for one in found.verdicts[at + 1 :]
    ]
    return [*found.verdicts[:at], stopped, *later]
