r"""A gold answer as text: the ways it may be written, and what of it is mathematics.

Golds come as LaTeX, with or without dollars, and as people write them: "sqrt(3)/3, or equivalently 1/sqrt(3)",
"100 (i.e., all values)", "The limit exists and is equal to 2/3", "x=1, y=2 and x=3, y=4", "even", "12 apples".
"""

import re
from typing import NamedTuple

from trainer.judges.final_text import last_box
from trainer.judges.normal_text import normal

_ASIDE = re.compile(r"\s+\((?:i\.e\.|(?:that is|none|no|or|about|approximately)\b).*\)$")
_OTHERWISE = re.compile(
    r",?\s+or\s+(?:equivalently|approximately|an equivalent form such as)\s+|\s+=\s+or\s+"
)
_PHRASES = (
    re.compile(r"(.+?) is the only (?:possible )?(?:value|solution|answer)"),
    re.compile(r"the (?:limit|answer|value|sum|result)(?: exists and)? (?:is|equals)(?: equal to)? (.+)"),
    re.compile(r"the only (?:possible )?(?:value|solution|answer)(?: for [a-z ]+)? is (.+)"),
)  # fmt: skip
_COUNTED = re.compile(r"(-?\d[\d,./]*)\s+[a-z][a-z-]+(?:\s[a-z-]+)?")
_EXACTLY = re.compile(r"exactly (\w+)(?:\s[a-z]+)?")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_JOIN = re.compile(r"\s*,?\s*(?:\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)\s*", re.IGNORECASE)
_ASSIGNED = re.compile(r"\s*([A-Za-z])\s*=\s*([^=,]+?)\s*")
_COMMAND = re.compile(
    r"\\[A-Za-z]+|(?<![A-Za-z])(?:sqrt|floor|ceil|sin|cos|tan|cot|log|ln|exp|mod|gcd|lcm|max|min|sum|pi|infty|infinity)"
    r"(?![A-Za-z])"
)
_WORD = re.compile(r"[^\W\d_]{4,}|[^\W\d_]{2,}(?:\s+[^\W\d_]{2,})+")
_SHORT_WORDS = frozenset(
    {
        "yes",
        "no",
        "odd",
        "all",
        "any",
        "one",
        "two",
        "six",
        "ten",
        "not",
        "none",
        "both",
        "true",
        "even",
        "red",
        "am",
        "pm",
    }
)
_ENVIRONMENT = re.compile(r"\$\$(.+)\$\$|\$([^$]+)\$|\\\((.+)\\\)|\\\[(.+)\\\]", re.DOTALL)

_WITHIN_PROSE = re.compile(r"(?<!\\)\$[^$]+(?<!\\)\$|\\\(.+\\\)|\\\[.+\\\]", re.DOTALL)


class GoldText(NamedTuple):
    """The ways a gold may be written: those that are mathematics, and all of them in normal form.

    `anchored` is the gold as it came where it has LaTeX within prose, which math-verify reads.
    """

    mathematics: tuple[str, ...]
    texts: frozenset[str]
    anchored: str | None = None


def gold_text(gold: str) -> GoldText | None:
    """Return the ways a gold may be written; None for one that says nothing, or whose brackets do not close.

    >>> found = gold_text("The limit exists and is equal to 2/3")
    >>> found.mathematics, sorted(found.texts)
    (('2/3',), ['2/3', 'thelimitexists,isequalto2/3'])
    """
    box = last_box(gold)
    whole = (gold.rpartition("####")[2] if box is None else box.content).strip()
    whole = whole.rstrip(".").strip()
    if environment := _ENVIRONMENT.fullmatch(whole):
        inside = next(each for each in environment.groups() if each).strip()
        whole = inside if "$" not in inside else whole
    if not any(each.isalnum() or each in "∞∅" for each in whole) or not _closed(whole):
        return None
    if _WITHIN_PROSE.search(whole):
        return GoldText((), frozenset({normal(with_commas(whole))}), whole)
    forms = _forms(whole.replace("\\$", "").replace("$", ""))
    mathematics = tuple(form for form in forms if not is_words(form))
    texts = frozenset(filter(None, (normal(with_commas(form)) for form in _worded(forms))))
    return GoldText(mathematics, texts) if texts or mathematics else None


def _forms(whole: str) -> list[str]:
    """Return a gold as it came, and what else may stand for it."""
    forms = [whole]
    bare = _ASIDE.sub("", whole)
    forms += [bare, *_OTHERWISE.split(bare)]
    for form in tuple(forms):
        for phrase in _PHRASES:
            if (found := phrase.fullmatch(form[:1].lower() + form[1:])) and not is_words(found[1]):
                forms.append(found[1])
        if found := _COUNTED.fullmatch(form):
            forms.append(found[1])
        forms += as_tuples(form)
    return list(dict.fromkeys(forms))


def _worded(forms: list[str]) -> list[str]:
    """Return the forms, and the number of "exactly one": as text, else any 1 of a sentence would be it."""
    found = [_EXACTLY.fullmatch(form.lower()) for form in forms]
    numbers = [str(_NUMBERS.index(each[1])) for each in found if each and each[1] in _NUMBERS]
    return [*forms, *numbers]


def listed(text: str) -> str:
    r"""Return a list with commas for its "and" and "or"; one with assignments as it is.

    >>> listed(r"1 \text{ and } 19"), listed("1, 4 and 9"), listed("x=1, y=2 and x=3, y=4")
    ('1, 19', '1, 4, 9', 'x=1, y=2 and x=3, y=4')
    """
    return text if text.count("=") > 1 else with_commas(text)


def with_commas(text: str) -> str:
    """Return text with commas for its "and" and "or"."""
    return _JOIN.sub(", ", text)


def as_tuples(text: str) -> list[str]:
    """Return the values of assignments as tuples, in the order in which they stand: one form, or none.

    >>> as_tuples("x=0, y=2 and x=9, y=11"), as_tuples("x=6, y=5"), as_tuples("x=6"), as_tuples("x=1, x=2")
    (['(0, 2), (9, 11)'], ['(6, 5)'], [], [])
    """
    groups = [
        group.strip().strip("()") for group in _JOIN.split(re.sub(r"\)\s*,\s*\(", ") and (", text))
    ]
    found = [[_ASSIGNED.fullmatch(part) for part in group.split(",")] for group in groups]
    if not all(all(group) for group in found):
        return []
    names = [[match[1] for match in group if match] for group in found]
    if (
        len(names[0]) < 2
        or any(each != names[0] for each in names)
        or len(set(names[0])) < len(names[0])
    ):
        return []
    return [", ".join(f"({', '.join(match[2] for match in group if match)})" for group in found)]


def is_words(text: str) -> bool:
    r"""Return whether text is words and not mathematics: it has a word of four letters, or a short one known.

    >>> [is_words(text) for text in ("even", "No", r"\text{Evelyn}", r"\frac{1}{2}", "sqrt(3)", "xyz", "5 m")]
    [True, True, True, False, False, False, False]
    """
    bare = _JOIN.sub(", ", _COMMAND.sub(" ", text))
    words = re.findall(r"[^\W\d_]+", bare)
    return bool(_WORD.search(bare)) or any(word.lower() in _SHORT_WORDS for word in words)


def is_bare(text: str) -> bool:
    r"""Return whether text is mathematics without any word.

    >>> is_bare("x = 3"), is_bare("so x = 3"), is_bare("sqrt(3) and 1"), is_bare(r"\frac{1}{2}")
    (True, False, True, True)
    """
    return not re.search(r"[^\W\d_]{2,}", _JOIN.sub(", ", _COMMAND.sub(" ", text)))


def _closed(text: str) -> bool:
    """Return whether the braces close; brackets need not: half-open intervals have two kinds."""
    depth = 0
    for sign in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if sign == "{" else -1
        if depth < 0:
            return False
    return depth == 0 and len(re.findall(r"\\left(?![a-z])", text)) == len(
        re.findall(r"\\right(?![a-z])", text)
    )
