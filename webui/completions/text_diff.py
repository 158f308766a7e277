"""What differs between two texts, word by word, as HTML of each.

The words by difflib (Ratcliff and Obershelp 1988), which takes the square of the number of words and more where
these repeat, as in the completions of a collapsed training. So what both begin and end with is set aside first, and
what is left is compared word by word only where it is short, else line by line, else shown as different.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from markupsafe import Markup

from webui.completions.completion_text import mark, pieces

WORD = re.compile(r"\s+|\w+|[^\w\s]")
MOST_PARTS = 4_000  # words or lines of one text


def compared(one: str, other: str) -> tuple[Markup, Markup]:
    """Return both texts, what only the one has within `del`, what only the other has within `ins`.

    >>> [str(each) for each in compared("it is 4.", "it is 5.")]
    ['it is <del>4</del>.', 'it is <ins>5</ins>.']
    """
    words = WORD.findall(one), WORD.findall(other)
    start = common(*words)
    end = common(words[0][start:][::-1], words[1][start:][::-1])
    inner = [each[start : len(each) - end] for each in words]
    if max(map(len, inner)) > MOST_PARTS:
        inner = ["".join(each).splitlines(keepends=True) for each in inner]
    left, right = _differing(*inner)
    before = _plain("".join(words[0][:start]))
    after = _plain("".join(words[0][len(words[0]) - end :]))
    return before + left + after, before + right + after


def common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many parts both begin with.

    >>> common(["a", "b"], ["a", "c"])
    1
    """
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _differing(one: Sequence[str], other: Sequence[str]) -> tuple[Markup, Markup]:
    if max(len(one), len(other)) > MOST_PARTS:
        return _within("del", "".join(one)), _within("ins", "".join(other))
    left, right = Markup(""), Markup("")
    for kind, a, b, c, d in SequenceMatcher(None, one, other).get_opcodes():
        if kind == "equal":
            same = _plain("".join(one[a:b]))
            left, right = left + same, right + same
        else:
            left += _within("del", "".join(one[a:b]))
            right += _within("ins", "".join(other[c:d]))
    return left, right


def _plain(text: str) -> Markup:
    return Markup("").join(mark(part) for part in pieces(text))


def _within(tag: str, text: str) -> Markup:
    return Markup("<{0}>{1}</{0}>").format(Markup(tag), _plain(text)) if text else Markup("")
