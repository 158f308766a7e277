"""What is said of a run is known: over a grid of what can be measured, no sentence says more."""

import re
from itertools import product

import numpy as np
import pytest

from monitor.detector import Detector, Sample, Verdict
from monitor.detector.signal.history import Array
from tests.monitor.detector.runs import SHAPE, fold, healthy, samples, with_transition

LABELS = {
    "format_reward": "format",
    "accuracy_reward": "accuracy",
    "completion_length": "length",
    "entropy": "entropy",
}
# Assurance that nobody can give who only looks for a transition.
CLAIMS = re.compile(r"\b(steady|rising|healthy|stable|fine|well|still|improv\w*)\b", re.I)
LENGTHS = (1, 23, 24, 63, 64, 300)


def measured(names: tuple[str, ...], steps: int, **more: Array) -> list[Sample]:
    whole = healthy(max(steps, 30))
    return samples(**{name: whole[name][:steps] for name in names}, **more)


def said_of(verdict: Verdict) -> str:
    """Return every sentence of a verdict that is shown to people."""
    return " ".join([verdict.words, *(point.words for point in verdict.change_points)])


def without_missing(words: str) -> str:
    """Return the words without the sentences that say what is not measured."""
    return re.sub(
        r"(Not measured: [^.]*\.|[A-Z][a-z ]+ was last measured at step \d+\.)", "", words
    )


@pytest.mark.parametrize(
    "names",
    [
        tuple(n for n, on in zip(LABELS, row, strict=True) if on)
        for row in product((0, 1), repeat=4)
    ],
)
def test_no_sentence_names_what_is_not_measured_or_claims_what_is_not_known(
    names: tuple[str, ...],
) -> None:
    filler = {"kl": np.full(300, 0.1)}
    verdicts = fold(measured(names, 300, **filler))
    for step in LENGTHS:
        verdict = verdicts[step - 1]
        words = said_of(verdict)
        assert not CLAIMS.search(words), words
        assert f"step {step}" in words
        for name, label in LABELS.items():
            if name not in names:
                assert label not in without_missing(words).lower(), words
                assert label in words, words
        if "format_reward" not in names:
            assert verdict.phase == "warming_up"


def test_nothing_that_could_show_a_transition_is_said_to_be_so() -> None:
    words = fold(samples(kl=np.full(100, 0.1)))[-1].words
    assert words.startswith("By step 100 nothing was measured that could show a transition.")


@pytest.mark.parametrize("step", [5, 100])
def test_a_loss_without_rewards_is_supervised_training_in_which_nothing_is_missing(
    step: int,
) -> None:
    told = (
        f"By step {step} a loss is logged and no rewards, so there is no format transition to see."
    )
    loss = np.full(step, 0.1)
    plain, trl = {"loss": loss}, {"mean_token_accuracy": loss, "entropy": loss, "loss": loss}
    for run in (plain, trl):
        assert fold(samples(**run))[-1].words == told


def test_a_dead_run_is_not_called_anything_but_what_it_is() -> None:
    """Seen in public: entropy .009, three quarters of the groups without a gradient, all cut off."""
    steps = 300
    run = measured(
        ("format_reward", "completion_length"),
        steps,
        entropy=np.full(steps, 0.009),
        clipped_ratio=np.ones(steps),
        frac_reward_zero_std=np.full(steps, 0.75),
    )
    words = fold(run)[-1].words
    assert words.startswith("By step 300 no transition is seen: evidence ")
    assert words.endswith(
        "But at step 300: 100 % of the completions are cut off, entropy is 0.009 and 75 % of the groups"
        " give no gradient."
    )
    assert not CLAIMS.search(words)


def test_a_metric_that_is_not_logged_any_more_is_said_to_be_so() -> None:
    run = healthy(300)
    run["format_reward"][200:] = np.nan
    run["entropy"][:] = np.nan
    words = fold(samples(**run))[-1].words
    assert "Not measured: entropy." in words
    assert "Format reward was last measured at step 200." in words
    assert "clearly higher" not in words


def test_evidence_of_a_metric_that_ended_says_since_when() -> None:
    run = healthy(300)
    run["accuracy_reward"][200:] = np.nan
    last = fold(samples(**run))[-1]
    found = next(one for one in last.evidence if one.metric == "accuracy_reward")
    assert found.score > 0 or found.words == "accuracy reward was last measured at step 200"


def test_what_was_said_of_a_transition_says_when_and_what_is_known_now() -> None:
    verdicts = fold(samples(**with_transition(steps=600, at=200)))
    first = next(v for v in verdicts if v.phase == "past")
    assert "That was said" not in first.words
    last = verdicts[-1]
    assert last.words.startswith(first.words)
    assert f"That was said at step {first.step}; at step 600 the evidence is" in last.words
    turning = [v for v in verdicts if v.phase == "turning"]
    assert turning
    for verdict in turning:
        said = re.search(r"That was said at step (\d+); at step (\d+)", verdict.words)
        assert said is None or (int(said[1]) < int(said[2]) == verdict.step)


def test_just_after_a_boundary_it_says_since_when_it_counts() -> None:
    run = samples(**healthy(130))
    detector = Detector(SHAPE)
    for sample in run[:100]:
        detector.update(sample)
    detector.boundary()
    verdict = detector.update(run[100])
    assert verdict.phase == "warming_up"
    assert verdict.words.startswith(
        "1 point since the data changed at step 101 by step 101; 16 are"
    )
    later = [detector.update(sample) for sample in run[101:]][-1]
    assert later.words.startswith("By step 130 no transition is seen")


def test_a_transition_of_before_a_boundary_says_that_the_data_changed() -> None:
    run = samples(**with_transition(steps=400, at=200))
    detector = Detector(SHAPE)
    for sample in run[:350]:
        detector.update(sample)
    detector.boundary()
    verdict = detector.update(run[350])
    assert verdict.phase == "past"
    assert verdict.words.endswith("; the data changed at step 351.")
