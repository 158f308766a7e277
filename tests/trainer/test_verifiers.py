"""A score is right, wrong or undecided; a hanging verifier is killed, never waited for."""

import threading
import time

import pytest

from trainer.verifiers import BoxedInteger, MathVerify


@pytest.mark.parametrize(
    ("completion", "gold", "score"),
    [
        ("\\boxed{7} then \\boxed{12}", "12", 1.0),
        ("\\boxed{012}", "12", 1.0),
        ("\\boxed{12} then \\boxed{7}", "12", 0.0),
        ("12", "12", 0.0),
        ("\\boxed{}", "12", 0.0),
        ("\\boxed{12}", "$12$", 1.0),
        ("\\boxed{12}", "twelve", None),
    ],
)
def test_the_last_boxed_integer_counts(completion: str, gold: str, score: float | None) -> None:
    assert BoxedInteger().score([completion], [gold]) == [score]


def test_math_answers_are_compared_from_any_thread_and_a_hang_is_killed() -> None:
    texts = ["so \\boxed{\\frac{1}{2}}", "\\boxed{3}", "no box", "\\boxed{5}"]
    golds = ["$0.5$", "$4$", "$4$", ""]
    with MathVerify(processes=1, timeout_s=1.5) as verifier:
        scores: list[float | None] = []
        thread = threading.Thread(
            target=lambda: scores.extend(verifier.score(texts, golds)), daemon=True
        )
        thread.start()
        thread.join()
        assert scores == [1.0, 0.0, 0.0, None]
        start = time.monotonic()
        hang = ["\\boxed{9^{9^{9^{9}}}}", "\\boxed{3}"]
        assert verifier.score(hang, ["$9^{9^{9}}$", "$3$"]) == [None, 1.0]
        assert time.monotonic() - start < 15
        assert verifier.failures == 1
