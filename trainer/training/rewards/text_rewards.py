"""Rewards of the text alone: format, tag count, reasoning steps, repetition. Pure."""

import re
from collections.abc import Hashable, Sequence

OPENED, CLOSED = "<think>\n", "\n</think>\n"

_TINAS_STEPS = re.compile(r"Step \d+:|^\d+\.|\n-|\n\*|First,|Second,|Next,|Finally,")
_STEPS_BY_LINE = re.compile(
    r"Step \d+:|First,|Second,|Next,|Finally,|^[ \t]*(?:\d+\.|[-*])[ \t]", re.MULTILINE
)


def format_value(text: str) -> float:
    """Return 1 for exactly one `</think>` on a line of its own, else 0.

    >>> [format_value(text) for text in ("a\\n</think>\\nb", "a</think>b", "\\n</think>\\n\\n</think>\\n")]
    [1.0, 0.0, 0.0]
    """
    return float(text.count(CLOSED) == 1)


def tag_count_value(text: str, *, ordered: bool) -> float:
    """Return .5 for each tag that comes exactly once; `ordered`: the closing one not before the opening.

    >>> tag_count_value("<think>\\na\\n</think>\\nb", ordered=True)
    1.0
    >>> [tag_count_value("\\n</think>\\n<think>\\n", ordered=ordered) for ordered in (False, True)]
    [1.0, 0.5]
    """
    opened, closed = text.count(OPENED) == 1, text.count(CLOSED) == 1
    if ordered and opened and closed:
        closed = text.index(OPENED) < text.index(CLOSED)
    return 0.5 * opened + 0.5 * closed


def reasoning_steps_value(text: str, steps: int, *, by_line: bool) -> float:
    """Return the share of `steps` that the text shows, 1 at most.

    >>> numbered = "1. Add.\\n2. Carry.\\n3. Done."
    >>> [reasoning_steps_value(numbered, 3, by_line=by_line) for by_line in (False, True)]
    [0.3333333333333333, 1.0]
    """
    pattern = _STEPS_BY_LINE if by_line else _TINAS_STEPS
    return min(1.0, len(pattern.findall(text)) / steps)


def repetition_value(items: Sequence[Hashable], size: int, max_penalty: float) -> float:
    """Return `max_penalty` times the share of n-grams that came before; 0 for fewer items than `size`.

    >>> repetition_value("a b a b a b".split(), 2, -1.0)
    -0.6
    """
    grams = [tuple(items[start : start + size]) for start in range(len(items) - size + 1)]
    return (1 - len(set(grams)) / len(grams)) * max_penalty if grams else 0.0


def words_of_text(text: str) -> list[str]:
    """Return the words of a text as Tina counts them: in lower case, between white space."""
    return text.lower().split()
