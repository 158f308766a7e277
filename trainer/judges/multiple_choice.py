r"""Multiple choice: the letter that a completion settles on, or the text of that option.

A statement is a box, an announcement ("the answer is (C)"), a judgement ("option B is correct"), or a line that is
nothing but a choice; the last one counts. A letter within prose is none.
"""

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from cusp.errors import CuspError
from trainer.judges.final_text import after_thought, last_box
from trainer.judges.normal_text import normal

LETTERS = "ABCDEFGHIJ"  # MMLU-Pro has ten options, GPQA four

_LETTER = r"\(?(?:\\(?:text|textbf|mathbf|mathrm|bf)\s*\{\s*)?\(?([A-J])\)?\s*\}?\)?"
_AROUND = r"[\s*_`$\\(\[{]*"  # marks of emphasis and of mathematics before a letter
_SAID = re.compile(
    r"(?:\b(?:answer|choice|option)s?\b[\s*_]*(?:(?:\w+\s+){0,3}?(?:is|would be|must be|should be)\b|[:=])"
    r"(?:[\s*_]*(?:therefore|thus|clearly|then|hence|indeed|definitely|most likely|simply)\b,?)?"
    r"(?:[\s*_]*(?:the\s+)?(?:option|choice|letter|answer)\b)?"
    r"|\b(?:choose|pick|select|go with)\s+(?:the\s+)?(?:option|choice|answer|letter)?"
    r"|\b(?:final|correct|best)\s+(?:answer|choice|option)[\s*_]*[:\n])"
    r"[\s*_]*:?",
    re.IGNORECASE,
)
_AT_LETTER = re.compile(_AROUND + _LETTER + r"(?![A-Za-z0-9'’])")
_SMALL = re.compile(
    r"[\s*_`$(]*([a-j])[*_`$).]*[ \t]*(?:\n|$)"
)  # with nothing after it, else an article
_JUDGED = re.compile(
    r"(?:\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s+)?" + _LETTER + r"[*_$\s]*is\s+(?:the\s+)?"
    r"(?:correct|right|best|only\s+correct|true)\b"
)
_LINE = re.compile(
    r"(?:(?:so|thus|hence|therefore|answer|option|choice),?\s+)?"
    + _AROUND
    + _LETTER
    + r"[\s*_`$.\\)\]}]*",
    re.IGNORECASE,
)
_LISTED = re.compile(r"[\s*_-]*\(?([A-Ja-j])\s*[).:]\s*\S")
_MORE = re.compile(r"[\s*_$)\]}\\]*(?:,|/|or\b|and\b|&)[\s*_$(\[{\\]*[A-J](?![A-Za-z0-9'’])")
_PROSE = re.compile(
    r"\s+(?!because|since|as\b|for\b|due|given|which|by\b|from|with|based|so\b|is\b|here)[a-z]"
)


class Choice(NamedTuple):
    """A gold: the letter that is right, and the options in their order from A on."""

    letter: str
    options: tuple[str, ...]


class NoSuchOption(CuspError, ValueError):
    """The letter of a gold is none of its options'."""


def choice_gold(letter: str, options: Sequence[str]) -> str:
    """Return the gold of a multiple-choice problem as the verifier `choice` takes it (JSON).

    NoSuchOption if the letter names none.

    >>> choice_gold("B", ["4 m", "5 m"])
    '{"letter": "B", "options": ["4 m", "5 m"]}'
    """
    if letter not in LETTERS[: len(options)] or len(letter) != 1 or len(options) > len(LETTERS):
        raise NoSuchOption(
            f"{letter!r} names none of the {len(options)} options; letters are {LETTERS[0]} to"
            f" {LETTERS[min(len(options), len(LETTERS)) - 1]}"
        )
    return json.dumps({"letter": letter, "options": list(options)})


def choice_of(gold: str) -> Choice | None:
    """Return the gold that `choice_gold` made; a letter alone is one of unknown options, anything else is None.

    >>> choice_of("C"), choice_of("the third")
    (Choice(letter='C', options=()), None)
    """
    if (bare := gold.strip().strip("$().")) and bare in LETTERS and len(bare) == 1:
        return Choice(bare, ())
    try:
        held = json.loads(gold)
        letter, options = held["letter"], held["options"]
        choice_gold(letter, options)
    except (ValueError, TypeError, KeyError):
        return None
    return Choice(letter, tuple(map(str, options)))


def chosen(completion: str, options: Sequence[str]) -> str | None:
    r"""Return the letter that a completion settles on; None if it settles on none, or on several at once.

    >>> options = ["4 m/s", "5 m/s", "6 m/s"]
    >>> [chosen(text, options) for text in ("A train leaves.", r"\boxed{B) 5 m/s}", "The answer is 6 m/s.")]
    [None, 'B', 'C']
    """
    text = after_thought(completion)
    if text is None:
        return None
    letters = LETTERS[: len(options)] if options else LETTERS[:4]
    found = [*_boxed(text, options), *_said(text, options), *_judged(text), *_alone(text, options)]
    stated = [each for each in found if each[1] is not None]
    if not stated:
        return None
    _, letter = max(stated)
    return letter if letter and letter in letters else None


Statement = tuple[int, str | None]
"""Where it ends, and the letter: "" for several letters at once, None where there is none."""


def _boxed(text: str, options: Sequence[str]) -> list[Statement]:
    box = last_box(text)
    return [] if box is None else [(box.end, _named(box.content, options))]


def _named(content: str, options: Sequence[str]) -> str | None:
    """Return the letter of an option that is named by its letter, its text or both."""
    if (letter := _option(content, options)) is not None:
        return letter
    bare = _bare(content)
    if len(bare) == 1 and bare.upper() in LETTERS:
        return bare.upper()
    if _MORE.match(bare[1:]) and bare[:1] in LETTERS:
        return ""
    match = re.match(r"\(?([A-J])\s*(?:[).:]|\\quad|\s-|\s–)", bare)
    return match[1] if match else None


def _bare(content: str) -> str:
    r"""Return a choice without markup and the words before it.

    >>> [_bare(text) for text in (r"\text{(B)}", r"\textbf{(B)}\ 5", "Option C.", r"\mathrm{D}")]
    ['B', '(B) 5', 'C', 'D']
    """
    bare = re.sub(r"\\(?:text|textbf|textit|textrm|mathbf|mathrm|bf|rm)\b\s*", " ", content)
    bare = re.sub(r"\\[ ,;:!]", " ", bare).translate(str.maketrans("", "", "{}$*"))
    bare = re.sub(r"^\s*(?:the\s+)?(?:option|choice|answer)\b[\s:]*", "", bare, flags=re.IGNORECASE)
    bare = bare.strip().rstrip(".").strip()
    return bare.strip("()") if re.fullmatch(r"\(?[A-Ja-j]\)?", bare) else bare


def _option(words: str, options: Sequence[str]) -> str | None:
    """Return the letter of the only option with this text."""
    wanted = normal(words)
    same = [
        letter for letter, each in zip(LETTERS, options, strict=False) if normal(each) == wanted
    ]
    return same[0] if wanted and len(same) == 1 else None


def _said(text: str, options: Sequence[str]) -> list[Statement]:
    """Return what is announced: "the answer is C", "Answer: (C)", "the answer is 5 m/s"."""
    return [(said.end(), _at(text, said.end(), options)) for said in _SAID.finditer(text)]


def _at(text: str, place: int, options: Sequence[str]) -> str | None:
    """Return the choice that stands at a place of the text."""
    rest = re.split(r"\n|(?<=[^\d\s])\.(?:\s|$)", text[place:].lstrip(), maxsplit=1)[0]
    if (letter := _option(rest.strip().rstrip(".").strip("*_ "), options)) is not None:
        return letter
    match = _AT_LETTER.match(text, place)
    if match is None:
        small = _SMALL.match(text, place)
        return small and small[1].upper()
    if _MORE.match(text, match.end()):
        return ""
    bracketed = "(" in match[0] or "*" in match[0]
    if match[1] in "AI" and not bracketed and _PROSE.match(text, match.end()):
        return None
    return match[1]


def _judged(text: str) -> list[Statement]:
    """Return what is judged: "option B is correct"."""
    return [(match.end(), match[1]) for match in _JUDGED.finditer(text)]


def _alone(text: str, options: Sequence[str]) -> list[Statement]:
    """Return the last line where it is a choice and nothing else, and no list of all options."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    last, before = lines[-1].strip(), lines[-2] if len(lines) > 1 else ""
    end = len(text.rstrip())
    if match := _LINE.fullmatch(last):
        return [(end, match[1].upper())]
    if (letter := _option(last.rstrip("."), options)) is not None:
        return [(end, letter)]
    if (listed := _LISTED.match(last)) and not _LISTED.match(before):
        rest = _option(last[listed.end() - 1 :].strip(" *_."), options)
        bare = listed[1].upper()
        return [(end, bare)] if not options or rest == bare else []
    return []
