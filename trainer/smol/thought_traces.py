"""Traces that teach the format: a thought, its end on a line of its own, the boxed answer.

Made from the tasks' own answers. For sums the thought is the running sum, for other tasks the answer in words.
"""

import random
import re

from trainer.gym.procedural import GymProblem

CLOSED_THOUGHT = "\n</think>\n"
_BROKEN = ("\n", " </think> ", "\nSo the answer is ")
_SUM = re.compile(r"(\d+(?: [+-] \d+)+)")


def thought_trace(
    problem: GymProblem, rng: random.Random, broken_format: float, slip: float
) -> str:
    """Return a trace; with the given probabilities it does not close its thought, or ends in a wrong answer.

    >>> sums = GymProblem("chain_sum", {}, 0, 0, "State 12 + 5 - 3 =", "14")
    >>> print(thought_trace(sums, random.Random(0), 0.0, 0.0))
    12 + 5 = 17
    17 - 3 = 14
    </think>
    \\boxed{14}
    """
    answer = problem.answer
    thought = running_sum(problem.question) or f"The answer is {answer}."
    if rng.random() < slip:
        answer = wrong(answer, rng)
    ends = _BROKEN if rng.random() < broken_format else (CLOSED_THOUGHT,)
    end = rng.choice(ends)
    return f"{thought}{end}\\boxed{{{answer}}}"


def running_sum(question: str) -> str | None:
    """Return the sum in a question worked out term by term, a line each; None if there is none."""
    found = _SUM.search(question)
    if found is None:
        return None
    first, *rest = found[0].split(" ")
    total, lines = int(first), []
    for sign, term in zip(rest[::2], rest[1::2], strict=True):
        new = total + int(term) if sign == "+" else total - int(term)
        lines.append(f"{total} {sign} {term} = {new}")
        total = new
    return "\n".join(lines)


def wrong(answer: str, rng: random.Random) -> str:
    """Return another answer: a number nearby, or the text with a letter too many."""
    if re.fullmatch(r"-?\d+", answer) is None:
        return f"{answer}x"
    return str(int(answer) + rng.choice((-10, -2, -1, 1, 2, 10)))
