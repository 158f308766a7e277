"""Judges an answer by the scoring of its reasoning-gym task.

Some tasks evaluate the answer as Python (`trainer.gym.harmless_answer`), so they see only answers that can call
nothing, and this runs where `trainer.math_judge` does: in processes that are killed when they take too long and
whose environment has no secrets.
"""

import json
import re
from typing import Any

from trainer.gym.harmless_answer import is_harmless
from trainer.gym.procedural import GymError, factory, generator
from trainer.judges.final_text import after_thought, last_box
from trainer.judging import Outcome

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_UNREADABLE = (ValueError, TypeError, SyntaxError, ArithmeticError, AttributeError, LookupError)
_RIGHT = 1.0 - 1e-9  # tasks pay less for a part of the answer: that is not right


def warm() -> None:
    """Import reasoning-gym, which takes a second or two."""
    factory()


def outcome(gold: str, completion: str) -> Outcome:
    """Return "right" if the task gives the completion's answer its full score, else "wrong".

    "no gold" if the gold is none of ours or this version of reasoning-gym generates another problem. An answer
    that the scoring cannot read (`prime_factorization` raises at a word) or must not is wrong.

    >>> outcome("42", "42")
    'no gold'
    """
    try:
        origin = json.loads(gold)
        config = json.dumps(origin["config"], sort_keys=True)
        entries = generator(origin["task"], config, origin["seed"])
        entry: dict[str, Any] = entries[origin["place"]]
    except (ValueError, TypeError, KeyError, GymError):
        return "no gold"
    if str(entry["answer"]) != origin["answer"]:
        return "no gold"
    answer = final_answer(completion)
    if answer is None or not is_harmless(origin["task"], answer):
        return "wrong"
    try:
        score = float(entries.score_answer(answer, entry))
    except _UNREADABLE:
        return "wrong"
    return "right" if score >= _RIGHT else "wrong"


def final_answer(completion: str) -> str | None:
    r"""Return the last `<answer>`, else the last `\boxed{}`, after the thought; None if there is none.

    >>> final_answer("1</answer>\n</think>\n<answer> \\boxed{4{2}} </answer>"), final_answer("42")
    ('4{2}', None)
    """
    text = after_thought(completion)
    if text is None:
        return None
    tagged = _ANSWER.findall(text)
    found = tagged[-1] if tagged else None
    box = last_box(text if found is None else found)
    if box is not None:
        found = _TEXT.sub(r"\1", box.content)
    return None if found is None else found.strip().strip("$").strip()
