"""Synthetic, imperfect teacher traces, on which the base model is trained before RL.

A trace adds digit by digit, least significant first. Some contain errors or repeated checks, some break the
format, some never end, so that GRPO has something to improve.
"""

import random
from dataclasses import dataclass

from trainer.tiny.problems import Addition
from trainer.tiny.tokenizer import END


@dataclass(frozen=True)
class TraceStyle:
    """Rates (0 to 1) of the imperfections in the teacher's traces."""

    rambling: float
    rechecking: float
    broken_format: float
    slip: float
    slip_when_rechecking: float


RAMBLING_PASSES = 6


def add_by_digits(problem: Addition, rng: random.Random, slip: float) -> tuple[str, str]:
    """Return the lines of one pass and its result; each line is off by one with probability `slip`."""
    width = max(len(str(problem.first)), len(str(problem.second)))
    pairs = zip(f"{problem.first:0{width}}"[::-1], f"{problem.second:0{width}}"[::-1], strict=True)
    carry, total, digits, lines = 0, 0, "", []
    for x, y in pairs:
        total = int(x) + int(y) + carry
        if rng.random() < slip:
            total = max(0, total + rng.choice((-1, 1)))
        lines.append(f"{x}+{y}+{carry}={total}")
        digits += str(total % 10)
        carry = total // 10
    return "\n".join(lines), (digits + ("1" if total >= 10 else ""))[::-1]


def write_trace(problem: Addition, rng: random.Random, style: TraceStyle) -> str:
    """Return one teacher completion for `problem`."""
    passes = _passes(rng, style)
    thoughts = [add_by_digits(problem, rng, style.slip)]
    thoughts += [add_by_digits(problem, rng, style.slip_when_rechecking) for _ in range(passes - 1)]
    body = "\nwait\n".join(lines for lines, _ in thoughts)
    if passes == RAMBLING_PASSES:
        return body + "\nwait\n"
    return body + _ending(f"\\boxed{{{thoughts[-1][1]}}}{END}", rng, style)


def _passes(rng: random.Random, style: TraceStyle) -> int:
    chance = rng.random()
    if chance < style.rambling:
        return RAMBLING_PASSES
    if chance < style.rambling + style.rechecking:
        return 2 if rng.random() < 0.7 else 3
    return 1


def _ending(answer: str, rng: random.Random, style: TraceStyle) -> str:
    if rng.random() >= style.broken_format:
        return f"\n</think>\n{answer}"
    kind = rng.random()
    if kind < 0.4:
        return f"\n{answer}"
    if kind < 0.7:
        return f"</think>{answer}"
    return f"\n</think>\n</think>\n{answer}"
