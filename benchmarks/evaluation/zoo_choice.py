"""What choosing costs on the zoo's real runs: regret by rule, for losing and for healthy runs.

python -m benchmarks.evaluation.zoo_choice [--repeats 5] [--seed 1] [--quick]

Every run is stopped, or not, as the product would (`benchmarks/zoo/verified.py`, one sample a problem), and the
candidates and the reference are those of its policy. Where a run has its scores by problem these are the samples; of
the others only pass@1 is known: it is taken as the truth (mean of both sets) and samples are drawn from it, 200
problems to select and 300 to report, two samples each, `--repeats` times. Samples of one seed are alike over
checkpoints (correlation .32 of single samples, over all pairs in the stored scores). regret = best true pass@1 of all
checkpoints of the whole run minus that of the one chosen, in points; the base model chosen leaves the reference where
it is, as the alias does. Where samples are stored, the truth is the report set's own score, which flatters rules that
test on it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from benchmarks.detector.cases import Case
from benchmarks.evaluation.draws import arguments, markdown
from benchmarks.evaluation.rules import Chosen, best_of_all, candidate, cusp, until_now
from benchmarks.zoo import storage, verified
from cusp.statistics import Scores
from cusp.statistics.comparison import ScoredCandidate
from monitor.detector import Transition
from monitor.policy import candidates as policy
from monitor.policy.decide import Saved

PROBLEMS, SAMPLES = {"selection": 200, "report": 300}, 2
SHARED_SEEDS = 0.57  # of the samples have the noise of their seed; the square is the correlation of two checkpoints
Truth = Mapping[int, float]  # step -> pass@1
Samples = Mapping[str, Mapping[int, Scores]]  # set -> step -> scores
Rule = Callable[[Sequence[ScoredCandidate], int], Chosen]
RULES: dict[str, Rule] = {
    "the reference, always": lambda candidates, reference: Chosen(reference, 0.0, 0),
    "highest unless worse (until now)": until_now,
    "highest of all problems": best_of_all,
    "better after Holm": lambda candidates, reference: cusp(candidates, reference, screen=False),
    "better after Holm, with the screen (now)": cusp,
}


def candidates_of(case: Case) -> tuple[list[tuple[int, tuple[str, ...]]], int]:
    """Return the steps and roles that the product would score, and the reference."""
    found = verified.replayed(case)
    stop = found.outcome.stop or case.last
    saved = [Saved(str(s), s, "", "") for s in case.report if 0 < s <= stop]
    accuracy = {
        step: metrics["accuracy_reward"]
        for step, metrics in case.points
        if step <= stop and "accuracy_reward" in metrics
    }
    transition = None
    if found.kept is not None:
        transition = Transition(stop, stop, stop, found.kept, stop, "confirmed")
    chosen = policy.candidates(transition, saved, accuracy, "candidates", found.kept)
    scored = [one for one in chosen if one.step in case.report]
    return [(one.step, one.roles) for one in scored], policy.reference_step(scored)


def drawn(case: Case, rng: np.random.Generator, repeats: int) -> Iterator[tuple[Truth, Samples]]:
    """Yield the truth by step, and the samples by set and step: stored ones once, else drawn ones."""
    if case.problems:
        yield (
            case.report,
            {
                split: {step: bits.astype(float) for step, bits in by_step.items()}
                for split, by_step in case.problems.items()
            },
        )
        return
    total = sum(PROBLEMS.values())
    truth = {
        step: (
            PROBLEMS["selection"] * case.selection[step] + PROBLEMS["report"] * case.report[step]
        )
        / total
        for step in case.report
    }
    for _ in range(repeats):
        yield truth, {split: _samples(rng, truth, n) for split, n in PROBLEMS.items()}


def _samples(
    rng: np.random.Generator, truth: Mapping[int, float], problems: int
) -> dict[int, Scores]:
    shape = (problems, SAMPLES)
    shared = rng.random(shape)
    found = {}
    for step, rate in truth.items():
        noise = np.where(rng.random(shape) < SHARED_SEEDS, shared, rng.random(shape))
        found[step] = (noise < rate).astype(float)
    return found


def main() -> None:
    """Print the table of each zoo."""
    given = arguments(str(__doc__), 5, 1)
    rng = np.random.default_rng(given.seed)
    for zoo in ("head16", "head32"):
        cases = storage.load(zoo)
        regrets: dict[tuple[str, str], list[float]] = {}
        samples: dict[str, list[int]] = {name: [] for name in RULES}
        moved: dict[str, list[bool]] = {name: [] for name in RULES}
        for case in cases:
            steps, reference = candidates_of(case)
            for truth, sets in drawn(case, rng, given.repeats):
                scored = [
                    candidate(
                        step, {"t": sets["selection"][step]}, {"t": sets["report"][step]}, roles
                    )
                    for step, roles in steps
                ]
                for name, rule in RULES.items():
                    chosen = rule(scored, reference)
                    step = chosen.step or reference
                    for kind in (case.kind, "all"):
                        lost = 100 * (max(truth.values()) - truth[step])
                        regrets.setdefault((name, kind), []).append(lost)
                    samples[name].append(chosen.samples)
                    moved[name].append(chosen.step != reference)
        kinds = ("lost", "between", "healthy", "all")
        runs = ", ".join(
            f"{sum(kind in (case.kind, 'all') for case in cases)} {kind}" for kind in kinds
        )
        print(f"Zoo {zoo}: {runs}; {given.repeats} draws, seed {given.seed}.\n")
        rows = [
            [
                name,
                *(f"{np.mean(regrets.get((name, kind), [np.nan])):.2f}" for kind in kinds),
                f"{np.quantile(regrets[name, 'all'], 0.95):.1f}",
                f"{np.mean(moved[name]):.0%}",
                f"{np.mean(samples[name]):,.0f}",
            ]
            for name in RULES
        ]
        head = ("rule", *kinds, "95 % of all are below", "moves", "samples a run")
        print(markdown(head, rows) + "\n", flush=True)


if __name__ == "__main__":
    main()
