r"""Mathematical and worded answers against their gold, in two presets.

`math_verify` (of an evaluation: `reward`) takes a box, else LaTeX that is announced, as in training. `lighteval` takes
plain answers too, as the scores that Tina published do (lighteval's `extractive_match`, HuggingFace, MIT).
"""

from functools import lru_cache
from typing import Any, Literal, NamedTuple

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

from trainer.judges.final_text import after_thought, last_box
from trainer.judges.mathematics.gold_reading import gold_text, is_bare, is_words, with_commas
from trainer.judges.mathematics.math_values import BOXED, canonical, equal, values
from trainer.judges.mathematics.quantities import measured, same_unit
from trainer.judges.normal_text import normal
from trainer.judges.spoken import (
    announced,
    clauses,
    ending,
    has_environment,
    last_line,
    says_yes_or_no,
)
from trainer.judging import Outcome

Preset = Literal["math_verify", "lighteval"]

LONGEST = 300  # characters of a line that is an answer
_ANYWHERE = (ExprExtractionConfig(), LatexExtractionConfig(boxed_match_priority=0))


class Gold(NamedTuple):
    """A gold as mathematics and as text; `written` is what its unit is read from."""

    found: tuple[Any, ...]
    texts: frozenset[str]
    written: tuple[str, ...]


class Answer(NamedTuple):
    """An answer as it stands, and as mathematics where it is such."""

    text: str | None
    found: tuple[Any, ...]


def outcome(preset: Preset, gold: str, completion: str) -> Outcome:
    """Return the outcome of one comparison; raises what math-verify raises."""
    expected = read_gold(gold)
    if expected is None:
        return "no gold"
    answer = read(preset, completion)
    return "right" if answer is not None and is_right(expected, answer) else "wrong"


def read_answer(preset: Preset, completion: str) -> str | None:
    """Return an answer in a form that is the same for equal ones; None if there is none."""
    answer = read(preset, completion)
    if answer is None:
        return None
    if answer.text is not None and is_words(measured(answer.text)[0]):
        return normal(clauses(answer.text)[-1]) or None
    return canonical(list(answer.found)) or (normal(answer.text) if answer.text else None)


@lru_cache(maxsize=4096)
def read_gold(gold: str) -> Gold | None:
    """Return a gold that answers can be compared with; None if there is none in the text."""
    text = gold_text(gold)
    if text is None:
        return None
    found = [one for form in text.mathematics for one in values(form)]
    if text.anchored is not None:
        found = parse(text.anchored, extraction_mode="first_match", parsing_timeout=None)
    return Gold(tuple(found), text.texts, text.mathematics)


def is_right(gold: Gold, answer: Answer) -> bool:
    """Return whether an answer is a gold's text, or equal mathematics of no other unit."""
    if answer.text is not None:
        if any(normal(with_commas(form)) in gold.texts for form in clauses(answer.text)):
            return True
        if not all(same_unit(written, answer.text) for written in gold.written):
            return False
    return equal(list(gold.found), list(answer.found))


def read(preset: Preset, completion: str) -> Answer | None:
    """Return what a completion answers after its thought; None if it does not."""
    text = after_thought(completion)
    if text is None:
        return None
    box = last_box(text)
    if box is not None and (box.content.strip() or preset == "math_verify"):
        return _of(box.content)
    if preset == "math_verify":
        found = parse(text, [BOXED], extraction_mode="first_match", parsing_timeout=None)
        return Answer(None, tuple(found)) if found else None
    return _plain(text)


def _plain(text: str) -> Answer | None:
    """Return what is announced or ends the last line; else the last mathematics of the text."""
    said, line = announced(text), last_line(text)
    candidates: list[str | None] = []
    if said is not None:
        line, candidates = said, [said]
    elif line is not None and not says_yes_or_no(line):
        candidates = [line, ending(line)]
    for each in candidates:
        if each is None or len(each) > LONGEST or has_environment(each):
            continue
        bare, _ = measured(each)
        if is_bare(bare) or (said is not None and " " not in bare and not is_words(bare)):
            return _of(each)
    found = parse(text, list(_ANYWHERE), parsing_timeout=None)
    return Answer(line, tuple(found)) if found or line else None


def _of(text: str) -> Answer:
    words = is_words(measured(text)[0]) and not any(each.isdigit() for each in text)
    return Answer(text, () if words else tuple(values(text)))
