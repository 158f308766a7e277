r"""Equality of mathematics, by math-verify (sympy). To be called in a process that can be killed.

math-verify rounds decimal numbers to six places, so that 1e-16 equals 2e-16: how near they are is asked here.
"""

from typing import Any

from math_verify import LatexExtractionConfig, parse, verify
from sympy import Basic, Number, UnevaluatedExpr, nsimplify, simplify, sstr
from sympy.core.relational import Equality

from trainer.judges.mathematics.gold_reading import listed
from trainer.judges.mathematics.plain_math import to_latex
from trainer.judges.mathematics.quantities import measured
from trainer.judges.normal_text import normal

PRECISION = 1e-5  # relative, of decimal numbers

BOXED = LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)


def values(latex: str) -> list[Any]:
    r"""Return what LaTeX or plain mathematics says, as sympy objects and as text; empty where it says nothing."""
    number, _ = measured(latex)
    inside = to_latex(listed(number))
    found: list[Any] = parse(
        f"\\boxed{{{inside}}}", [BOXED], extraction_mode="first_match", parsing_timeout=None
    )
    return found


def equal(gold: list[Any], answer: list[Any]) -> bool:
    """Return whether an answer is one of the golds; raises what math-verify raises."""
    return any(
        verify(one, other, allow_set_relation_comp=True, timeout_seconds=None, raise_on_error=True)
        and _near(one, other)
        for one in gold
        for other in answer
    )


def _near(gold: Any, answer: Any) -> bool:
    """Return whether two numbers differ by PRECISION at most; True for what are not two numbers."""
    if not (_is_number(gold) and _is_number(answer)):
        return True
    first, second = gold.evalf(20), answer.evalf(20)
    return bool(abs(first - second) <= PRECISION * max(abs(first), abs(second)))


def _is_number(value: Any) -> bool:
    """Return whether it is a number; a percentage is none, as 50 % equals 50 and .5."""
    return bool(getattr(value, "is_number", False)) and not value.has(UnevaluatedExpr)


def canonical(found: list[Any]) -> str | None:
    r"""Return text that is the same for equal mathematics, as far as sympy's simplification reaches.

    >>> canonical(values("0.5")) == canonical(values(r"x = \frac{2}{4}")) == "1/2"
    True
    """
    value = next((each for each in found if not isinstance(each, str)), None)
    if value is None:
        return normal(found[0]) if found else None
    if isinstance(value, Equality) and value.lhs.is_Symbol:
        value = value.rhs
    try:
        if isinstance(value, Basic) and value.has(UnevaluatedExpr):
            value = value.doit()
        if isinstance(value, Number):
            value = nsimplify(value, rational=True)
        return str(sstr(simplify(value)))
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        return str(sstr(value))
