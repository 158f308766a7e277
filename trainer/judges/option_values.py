"""Multiple choice where a box holds an option's value, written another way: `\\boxed{\\frac{1}{4}}` for 0.25."""

from collections.abc import Sequence

from trainer.judges.final_text import after_thought, last_box
from trainer.judges.mathematics.gold_reading import is_words
from trainer.judges.mathematics.math_values import equal, values
from trainer.judges.mathematics.quantities import measured, same_unit
from trainer.judges.multiple_choice import LETTERS, choice_of, chosen
from trainer.judging import Outcome


def choice_outcome(gold: str, completion: str) -> Outcome:
    """Return whether the letter that a completion settles on is the gold's."""
    choice = choice_of(gold)
    if choice is None:
        return "no gold"
    return "right" if settled(completion, choice.options) == choice.letter else "wrong"


def settled(completion: str, options: Sequence[str]) -> str | None:
    r"""Return the letter that a completion settles on, else that of the only option equal to its box.

    >>> settled(r"\boxed{\frac{1}{4}}", ["1/2", "0.25", "3"]), settled(r"\boxed{7}", ["1/2", "0.25", "3"])
    ('B', None)
    """
    letter = chosen(completion, options)
    box = last_box(after_thought(completion) or "")
    if letter is not None or box is None or is_words(measured(box.content)[0]):
        return letter
    found = values(box.content)
    same = [
        name
        for name, option in zip(LETTERS, options, strict=False)
        if not is_words(measured(option.strip("$ "))[0])
        and same_unit(option, box.content)
        and equal(values(option.strip("$ ")), found)
    ]
    return same[0] if len(same) == 1 else None
