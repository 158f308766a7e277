r"""Mathematics as people type it, as LaTeX: `2^(n-1)`, `sqrt(3)/3`, `C(10, 5)`, `1,000`, `1.5e-3`, `0.\overline{3}`."""

import re
from collections.abc import Callable
from math import gcd

from trainer.judges.final_text import closing

_FUNCTIONS = {"sqrt": r"\sqrt{%s}", "floor": r"{\lfloor %s\rfloor }", "ceil": r"{\lceil %s\rceil }"}
_SIGNS = {
    "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": r"\div ", "±": r"\pm ",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "π": r"\pi ", "∞": r"\infty ", "°": r"^\circ ", "∪": r"\cup ",
    "∩": r"\cap ", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "²": "^2", "³": "^3",
    "θ": r"\theta ", "∅": r"\emptyset ", "√": r"\sqrt ",
}  # fmt: skip
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_ROOT_SIGN = re.compile(r"√\s*(\d+|[a-z]|\([^()]*\))")
_THOUSANDS = re.compile(r"(?<![\d.,\\])(\d{1,3})((?:(?:,|\{,\}|\\[,!]|,\\!)\d{3})+)(?![\d,]|\{,\})")
_SEPARATOR = re.compile(r"[^\d]")
_SCIENTIFIC = re.compile(r"(?<![A-Za-z\d.])(\d+(?:\.\d+)?)[eE]([+-]?\d+)(?![A-Za-z\d.])")
_REPEATING = re.compile(r"(?<![\d.])(\d+)\.(\d*)\\(?:overline|bar|dot)\s*\{?(\d+)\}?")
_DEGREES = r"\s*\^\s*(?:\\circ\b|\{\s*\\circ\s*\})"
_TRIGONOMETRY = re.compile(
    rf"(\\(?:sin|cos|tan|cot|sec|csc)(?:\^\{{?\d\}}?)?)\s*(?:\\left)?[({{]?\s*(\d+(?:\.\d+)?){_DEGREES}\s*(?:\\right)?[)}}]?"
)
_NAMED = re.compile(
    r"(?<![\\A-Za-z])(sin|cos|tan|cot|sec|csc|log|ln|exp|pi|infty|infinity|theta|sum)(?![A-Za-z])"
)
_EXPONENT = re.compile(r"[\^_]\s*\(")
_RAISED = re.compile(r"\^(-?\d{2,})")
_BINOMIAL = re.compile(r"(?<![A-Za-z\\])C\(\s*([^(),]+),\s*([^(),]+)\)")
_FUNCTION = re.compile(r"(?<![A-Za-z\\])(sqrt|floor|ceil)\s*\(")
_STAR = re.compile(r"\*\*|\*")


def to_latex(text: str) -> str:
    r"""Return mathematics in plain text as LaTeX; LaTeX as it is, with the repairs that math-verify does not make.

    >>> to_latex("2^(n-1)"), to_latex("C(10, 5)"), to_latex("1,234,567"), to_latex("(1,000)")
    ('2^{n-1}', '\\binom{10}{5}', '1234567', '(1,000)')
    >>> to_latex(r"0.\overline{3}"), to_latex("1.5e-3"), to_latex(r"\sin 30^\circ")
    ('\\frac{1}{3}', '1.5 \\times 10^{-3}', '\\sin(\\frac{30\\pi}{180})')
    """
    text = _ROOT_SIGN.sub(lambda found: rf"\sqrt{{{found[1].strip('()')}}}", text)
    text = _SIGN.sub(lambda found: _SIGNS[found[0]], text)
    text = _STAR.sub(lambda found: "^" if found[0] == "**" else r" \cdot ", text)
    text = _THOUSANDS.sub(_joined, text)
    text = _REPEATING.sub(_fraction, text)
    text = _SCIENTIFIC.sub(r"\1 \\times 10^{\2}", text)
    text = _TRIGONOMETRY.sub(r"\1(\\frac{\2\\pi}{180})", text)
    text = _BINOMIAL.sub(r"\\binom{\1}{\2}", text)
    text = _NAMED.sub(lambda found: rf"\{_COMMAND.get(found[1], found[1])} ", text)
    text = _braced(text, _EXPONENT, lambda head, inside: f"{head[0]}{{{inside}}}")
    text = _braced(text, _FUNCTION, lambda head, inside: _FUNCTIONS[head] % inside)
    return _RAISED.sub(r"^{\1}", text)


_COMMAND = {"infinity": "infty"}


def _joined(found: re.Match[str]) -> str:
    """Return a number without thousands separators, but not in a pair such as (1,000)."""
    before, after = found.string[: found.start()].rstrip(), found.string[found.end() :].lstrip()
    pair = before[-1:] in ("(", "[", "{") and after[:1] in (")", "]", "}") and found[2][:1] == ","
    return (
        found[0] if pair and found[2].count(",") == 1 else found[1] + _SEPARATOR.sub("", found[2])
    )


def _fraction(found: re.Match[str]) -> str:
    """Return a repeating decimal as a fraction."""
    whole, fixed, repeated = found.groups()
    denominator = (10 ** len(repeated) - 1) * 10 ** len(fixed)
    numerator = int(whole + fixed + repeated) - int(whole + fixed)
    common = gcd(numerator, denominator)
    return rf"\frac{{{numerator // common}}}{{{denominator // common}}}"


def _braced(text: str, begins: re.Pattern[str], made: Callable[[str, str], str]) -> str:
    """Return the text with what stands in the parentheses after each match put elsewhere."""
    place = 0
    while found := begins.search(text, place):
        end = closing(text, found.end() - 1)
        if end is None:
            return text
        head = found[1] if found.re.groups else found[0]
        new = made(head, text[found.end() : end])
        text = text[: found.start()] + new + text[end + 1 :]
        place = found.start() + 1
    return text
