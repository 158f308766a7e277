"""Completions as HTML: escaped, with format tags, boxed answers and thoughts marked."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from markupsafe import Markup, escape

TAG = re.compile(
    r"(?P<tag></?(?:think|answer|reasoning|solution)>|<[|｜][\w▁ ]{1,40}[|｜]>)"
    r"|(?P<box>\\boxed\s?\{)"
    r"|(?P<gap>\[[\d,]+ characters left out\])"
)
"""Format tags and special tokens, the beginning of a boxed answer, the mark that a sender left where it cut."""

MOST_BOX = 500  # characters of a boxed answer; a box that is longer or never closed is not marked


class Piece(NamedTuple):
    """A part of a text and its kind: `tag`, `box`, `gap`, or "" for what is in none of them."""

    kind: str
    text: str


def pieces(text: str) -> Iterator[Piece]:
    """Yield the text in parts; joined they are the text.

    >>> list(pieces(r"so \\boxed{1{2}}."))
    [Piece(kind='', text='so '), Piece(kind='box', text='\\\\boxed{1{2}}'), Piece(kind='', text='.')]
    """
    done = 0
    for found in TAG.finditer(text):
        if found.start() < done:
            continue
        kind = found.lastgroup or ""
        end = closing(text, found.end()) if kind == "box" else found.end()
        if end is None:
            continue
        if found.start() > done:
            yield Piece("", text[done : found.start()])
        yield Piece(kind, text[found.start() : end])
        done = end
    if done < len(text):
        yield Piece("", text[done:])


def closing(text: str, start: int) -> int | None:
    """Return the place after the brace that closes the one before `start`, None if it is too far or missing."""
    depth = 1
    for place in range(start, min(len(text), start + MOST_BOX)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place + 1
    return None


def marked(text: object) -> Markup:
    """Return the text with its parts marked, and what stands in a thought within a span."""
    made, thinking = [], False
    parts = list(pieces(str(text or "")))
    first = next((each.text for each in parts if each.text in ("<think>", "</think>")), None)
    if first == "</think>":  # the template's prompt ends with <think>
        made, thinking = [Markup('<span class="thought">')], True
    for part in parts:
        if part.text == "</think>" and thinking:
            made.append(Markup("</span>"))
            thinking = False
        made.append(mark(part))
        if part.text == "<think>" and not thinking:
            made.append(Markup('<span class="thought">'))
            thinking = True
    if thinking:
        made.append(Markup("</span>"))
    return Markup("").join(made)


def mark(part: Piece) -> Markup:
    """Return one part, escaped, within a `mark` of its kind."""
    if not part.kind:
        return escape(part.text)
    return Markup('<mark class="k-{}">{}</mark>').format(part.kind, part.text)
