r"""Answers without a box: what is announced ("The answer is 42."), else the last line."""

import re

_ANNOUNCED = re.compile(
    r"(?:\b(?:final\s+|correct\s+)?(?:answer|solution|result)s?\b[\s*_]*(?:[:=]"
    r"|(?:(?:to|of|for)\b[^.\n]{0,60}?)?\b(?:is|are|equals|will be|would be)\b)|####)[\s*_:]*(?:equal to\s+)?",
    re.IGNORECASE,
)
_END = re.compile(
    r"\n|(?<!\d)\.(?:\s|$)|\.(?:\s+[A-Z]|\s*$)|\s+(?:because|since)\b"
    r"|,\s+(?:which|because|since|as|so|and so)\b"
)
_ANOTHER = re.compile(r"[\s,]*(?:and|or|,)\s*(?:\$|\\)")
_ENVIRONMENT = re.compile(
    r"\$\$(.+?)\$\$|(?<!\\)\$([^$\n]+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL
)
_LEADING = re.compile(
    r"^\s*(?:[=:>*_-]\s+|[=:]|(?:so|thus|hence|therefore|and|then),?\s+)+", re.IGNORECASE
)
_VERB = re.compile(
    r"\b(?:is|are|be|equals?(?:\s+to)?|becomes|gives?|get|obtain|yields?)\s*:?\s", re.IGNORECASE
)
_CLAUSE = re.compile(
    r",\s+(?:which|where|when|since|because|as|if|so)\b|\s+(?:when|because|since)\b"
)
_THERE = re.compile(r"\bthere (?:is|are)(?: exactly| a total of)? (\d[\d,]*) [a-z]", re.IGNORECASE)
_YES_NO = re.compile(r"(yes|no|true|false)\b\s*[,.;:!—-]", re.IGNORECASE)


def announced(text: str) -> str | None:
    """Return what the last announcement of an answer says, to the end of its sentence; None without one.

    >>> announced("The answer is 4? No, the final answer is **3.5**, since x > 0."), announced("4")
    ('3.5', None)
    """
    said = list(_ANNOUNCED.finditer(text))
    if not said:
        return None
    rest = text[said[-1].end() :]
    environment = _ENVIRONMENT.match(rest)
    if environment and not _ANOTHER.match(rest[environment.end() :]):
        return stripped(environment[0])
    end = _END.search(rest)
    return stripped(rest[: end.start()] if end else rest) or None


def last_line(text: str) -> str | None:
    """Return the last line that is not empty, without marks around it.

    >>> last_line("2 + 3\\n**= 5.**\\n\\n")
    '5'
    """
    lines = [line for line in text.splitlines() if stripped(line)]
    return stripped(lines[-1]) if lines else None


def ending(line: str) -> str | None:
    """Return what a sentence ends with after its last verb, or how many there are; None without either.

    >>> ending("The least value of f(x) is 2^(n-1), which occurs when a equals b"), ending("so 4")
    ('2^(n-1)', None)
    >>> ending("So there are 76 involutions on {1, 2, 3}")
    '76'
    """
    if counted := _THERE.search(line):
        return counted[1]
    line = _CLAUSE.split(line)[0]
    verbs = list(_VERB.finditer(line))
    return stripped(line[verbs[-1].end() :]) or None if verbs else None


def stripped(text: str) -> str:
    """Return text without emphasis, a full stop, and dollars around all of it.

    >>> stripped(" **$x = 3$**. ")
    'x = 3'
    """
    bare = (
        _LEADING.sub("", text.strip().strip("*_` ").strip()).rstrip(".").strip("*_` ").rstrip(".")
    )
    environment = _ENVIRONMENT.fullmatch(bare)
    return next(each for each in environment.groups() if each).strip() if environment else bare


def has_environment(text: str) -> bool:
    """Return whether LaTeX stands within the text."""
    return _ENVIRONMENT.search(text) is not None


def says_yes_or_no(text: str) -> bool:
    """Return whether a sentence begins with yes or no: what follows is the reason."""
    return _YES_NO.match(text) is not None


def clauses(text: str) -> list[str]:
    """Return text, its last sentence if it has several, and the word before the comma of one that says yes or no.

    >>> clauses("No, there are none"), clauses("It is not periodic. No.")
    (['No, there are none', 'No'], ['It is not periodic. No.', 'No.'])
    """
    begun = _YES_NO.match(text)
    last = re.split(r"(?<=[a-z])\. +(?=[A-Z])", text)[-1]
    return list(dict.fromkeys([text, last, *([begun[1]] if begun else [])]))
