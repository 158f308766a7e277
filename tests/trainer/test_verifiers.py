"""A score is right, wrong or undecided; a hanging verifier is killed within a step's budget."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.waiting import wait_until
from trainer.judging import Limits
from trainer.verifiers import BoxedInteger, MathVerify, make_verifiers


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
    with closing(MathVerify(1, Limits(timeout=1.5))) as verifier:
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


def hanging(count: int) -> list[str]:
    """Return as many different completions that math-verify computes for hours."""
    endless = ("9^{9^{9^{9}}}", "(10^9)!")
    return [f"try {n}: \\boxed{{{endless[n % 2]}}}" for n in range(count)]


def test_where_all_answers_of_a_step_hang_the_step_waits_for_its_budget_and_no_longer() -> None:
    limits = Limits(quick=0.3, timeout=2.0, budget=3.0, each=0.05)
    with closing(MathVerify(2, limits)) as verifier:
        assert verifier.score(["\\boxed{3}"], ["$3$"]) == [1.0]  # the start is no part of it
        start = time.monotonic()
        assert verifier.score(hanging(24), ["$7$"] * 24) == [None] * 24
        took = time.monotonic() - start
        assert limits.of_call(24) == pytest.approx(4.2)
        assert took < limits.of_call(24) + 2
        assert verifier.score(["\\boxed{3}", "\\boxed{4}"], ["$3$", "$3$"]) == [1.0, 0.0]


def test_answers_behind_those_that_hang_are_decided() -> None:
    good = [f"\\boxed{{{n}}}" for n in range(12)]
    with closing(MathVerify(1, Limits(quick=0.5, timeout=5.0, budget=9.0))) as verifier:
        scores = verifier.score([*hanging(12), *good], ["$7$"] * 24)
        assert scores == [None] * 12 + [float(n == 7) for n in range(12)]
        assert verifier.failures == 12


def test_a_pair_is_compared_once_a_step_and_one_that_hangs_is_not_tried_another_way() -> None:
    two = make_verifiers(["math_verify_tina", "math_verify_tina_swapped", "boxed_integer"])
    plain, swapped = two["math_verify_tina"], two["math_verify_tina_swapped"]
    texts = ["\\boxed{x>2}", *hanging(2)]
    golds = ["$(2,\\infty)$", "$7$", "$7$"]
    with closing(plain):
        first = plain.outcomes(texts, golds)
        assert first == ["wrong", "failed", "failed"]
        start = time.monotonic()
        assert plain.outcomes(texts[::-1], golds[::-1]) == first[::-1]
        assert swapped.outcomes(texts, golds) == ["right", "failed", "failed"]
        assert time.monotonic() - start < 4


HANG = ("\\boxed{9^{9^{9^{9}}}}", "$9^{9^{9}}$")


def below(process: int) -> list[int]:
    """Return the ids of the processes that this one started, and of theirs."""
    files = Path(f"/proc/{process}/task").glob("*/children")
    children = [int(one) for file in files for one in file.read_text().split()]
    return children + [one for child in children for one in below(child)]


def is_hanging(process: int) -> bool:
    """Return whether it has computed for a second, in which it could have compared hundreds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) > os.sysconf("SC_CLK_TCK")


def test_a_comparison_that_crashes_costs_its_own_pair_only() -> None:
    before = below(os.getpid())
    with closing(MathVerify(2, Limits(60, 60, 60))) as verifier:
        assert verifier.score(["\\boxed{3}"], ["$3$"]) == [1.0]
        _, *workers = [one for one in below(os.getpid()) if one not in before]
        scores: list[float | None] = []
        texts, golds = zip(HANG, *[(f"\\boxed{{{n}}}", "$7$") for n in range(20)], strict=True)
        thread = threading.Thread(target=lambda: scores.extend(verifier.score(texts, golds)))
        thread.start()
        wait_until(lambda: any(map(is_hanging, workers)), 30)
        os.kill(next(filter(is_hanging, workers)), signal.SIGKILL)
        thread.join()
        assert scores == [None, *(float(n == 7) for n in range(20))]
        assert verifier.failures == 1


def test_where_the_judge_dies_it_is_started_anew_and_asked_once_more() -> None:
    before = below(os.getpid())
    with closing(MathVerify(processes=1)) as verifier:
        assert verifier.score(["\\boxed{5}"], ["$5$"]) == [1.0]
        judge, *_ = [one for one in below(os.getpid()) if one not in before]
        os.kill(judge, signal.SIGKILL)
        assert verifier.score(["\\boxed{3}", "\\boxed{4}"], ["$3$", "$3$"]) == [1.0, 0.0]
        assert verifier.failures == 0


ASKS = """
import sys
from trainer.judging import Limits
from trainer.verifiers import MathVerify
verifier = MathVerify(2, Limits(1000, 1000, 1000))
assert verifier.score([r"\\boxed{3}"], ["$3$"]) == [1.0]
if len(sys.argv) > 1:
    verifier.score(*[[one] for one in sys.argv[1:]])
"""


def test_a_training_that_does_not_close_it_ends_and_prints_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKS], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_killed_training_leaves_no_comparison_behind() -> None:
    training = subprocess.Popen([sys.executable, "-c", ASKS, *HANG])
    try:
        wait_until(lambda: any(map(is_hanging, below(training.pid)[1:])), 60)
        started = below(training.pid)
    finally:
        training.kill()
        training.wait()
    assert len(started) >= 3
    wait_until(lambda: not any(Path(f"/proc/{one}/exe").exists() for one in started), 10)


GROUP = r"""
import os, signal
from trainer.verifiers import MathVerify

signal.signal(signal.SIGTERM, lambda *_: None)  # as a training does, which ends after its step
verifier = MathVerify(1)
assert verifier.score([r"\\boxed{3}"], ["$3$"]) == [1.0]
os.killpg(0, signal.SIGTERM)  # as torchrun does
assert verifier.score([r"\\boxed{4}", r"\\boxed{5}"], ["$4$", "$4$"]) == [1.0, 0.0]
"""


def test_a_sigterm_to_the_group_of_a_rank_leaves_the_rewards_of_its_step_decided() -> None:
    """So torchrun ends its ranks."""
    done = subprocess.run(
        [sys.executable, "-c", GROUP],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_processes_that_read_completions_have_no_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secrets = ("CUSP_TOKEN", "CUSP_TOKEN_FILE", "HF_TOKEN", "VLLM_API_KEY", "WANDB_API_KEY")
    for name in secrets:
        monkeypatch.setenv(name, "a secret of this test")
    before = below(os.getpid())
    with closing(MathVerify(1)) as verifier:
        assert verifier.score(["\\boxed{3}"], ["$3$"]) == [1.0]
        started = [one for one in below(os.getpid()) if one not in before]
        given = [Path(f"/proc/{one}/environ").read_bytes() for one in started]
    assert len(started) > 1
    assert not [each for each in given if b"a secret of this test" in each]
