r"""Text as it is compared: without markup, case, and signs that say nothing."""

import re
import unicodedata

_MARKUP = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|mbox|hbox|mathrm|mathbf|mathit|mathsf|operatorname|displaystyle|bf|rm)(?![A-Za-z])"
    r"|\\left(?![a-z])|\\right(?![a-z])|\\[ ,;:!]|\\q?quad|[{}$*`~]"
)
_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "×": "x", "⋅": "·"}
)
_COMMANDS = (("\\times", "x"), ("\\cdot", "·"), ("\\%", "%"), ("^\\circ", "°"), ("\\degree", "°"))


def normal(text: str) -> str:
    r"""Return text without LaTeX's markup, case, blanks and a full stop at its end.

    >>> normal(r"\text{No} solutions."), normal(r"5\ \mathrm{m/s}"), normal(" **Even** ")
    ('nosolutions', '5m/s', 'even')
    """
    bare = unicodedata.normalize("NFC", text).translate(_SIGNS)
    for command, sign in _COMMANDS:
        bare = bare.replace(command, sign)
    bare = re.sub(r"\s+", "", _MARKUP.sub("", bare)).casefold()
    return bare.strip(".,;:!\"'")
