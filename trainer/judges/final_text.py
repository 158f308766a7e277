r"""The part of a completion that is judged, and the last box in it."""

import re
from typing import NamedTuple

_BOX = re.compile(r"\\f?boxed\s*\{")


class LastBox(NamedTuple):
    r"""The content of a `\boxed{}`, and where its LaTeX begins and ends."""

    content: str
    start: int
    end: int


def after_thought(completion: str) -> str | None:
    """Return the text after the last `</think>`, all of it if there is none.

    None if a thought is open at the end: that completion was cut before it answered. Where the chat template opens the
    thought in the prompt, the completion itself does not show that it was cut (`opened_by`).

    >>> after_thought("<think>so 4</think>5"), after_thought("5"), after_thought("<think>so 4")
    ('5', '5', None)
    """
    text = completion.rpartition("</think>")[2]
    return None if "<think>" in text else text


def opened_by(prompt: str, completion: str) -> str:
    r"""Return what is judged of a completion: with the `<think>` that its prompt ends with.

    >>> opened_by("<|Assistant|><think>\n", "so 4"), opened_by("<|Assistant|>", "4")
    ('<think>so 4', '4')
    """
    return f"<think>{completion}" if prompt.rstrip().endswith("<think>") else completion


def last_box(text: str) -> LastBox | None:
    r"""Return the last `\boxed{}` whose braces are balanced and that is in no other box.

    >>> last_box(r"\boxed{4}, no, \boxed{\frac{1}{2}} or \boxed{5")
    LastBox(content='\\frac{1}{2}', start=15, end=34)
    """
    found: LastBox | None = None
    for match in _BOX.finditer(text):
        if found is not None and match.start() < found.end:
            continue
        end = closing(text, match.end() - 1)
        if end is not None:
            found = LastBox(text[match.end() : end], match.start(), end + 1)
    return found


def closing(text: str, start: int) -> int | None:
    r"""Return the place of the bracket that closes the one at `start`; None if there is none.

    >>> closing(r"{a\{{b}}", 0), closing("(a(b)", 0)
    (7, None)
    """
    opening, depth = text[start], 0
    close = {"{": "}", "(": ")", "[": "]"}[opening]
    for place in range(start, len(text)):
        if place and text[place - 1] == "\\" and opening == "{":
            continue
        depth += (text[place] == opening) - (text[place] == close)
        if depth == 0:
            return place
    return None
