"""Which answers may be given to the scoring of a reasoning-gym task that evaluates them as Python.

Nine of the tasks call `eval` or sympy's `parse_expr`, which is `eval`, on what a model wrote
(`countdown`: `<answer>__import__('os').system(...)</answer>`). An answer reaches them only if it is made of the
task's own characters and, called by name, of elementary functions.
"""

import re

_ARITHMETIC = re.compile(r"[\d+\-*/(). \t\n]*", re.ASCII)
_LETTERS = re.compile(r"\w[\w \t\n]*", re.ASCII)  # no bracket, operator or point: nothing is called
_ALGEBRA = re.compile(r"[A-Za-z\d+\-*/^(),. \t\n]*", re.ASCII)
# A name or a closing bracket before a bracket calls it; a name after a point is an attribute.
_CALLED = re.compile(r"([A-Za-z][A-Za-z\d]*|\))[ \t\n]*\(")
_ATTRIBUTE = re.compile(r"\.[ \t\n]*[A-Za-z]")
_FUNCTION = re.compile("Integral|[Aa]bs|exp|log|ln|sqrt|a?(sin|cos|tan)h?|sec|csc|cot")

_ALLOWED = {
    "countdown": _ARITHMETIC,
    "puzzle24": _ARITHMETIC,
    # A list that they evaluate is paid for in part, which is wrong here (`task_judge`).
    "binary_matrix": _LETTERS,
    "n_queens": _LETTERS,
    "spiral_matrix": _LETTERS,
    "string_insertion": _LETTERS,
    "intermediate_integration": _ALGEBRA,
    "polynomial_multiplication": _ALGEBRA,
    "simple_integration": _ALGEBRA,
}
EVALUATING = frozenset(_ALLOWED)
LONGEST = 4096  # characters of an expression; of 400 products of polynomials the longest has 129


def is_harmless(task: str, answer: str) -> bool:
    """Return whether the scoring of the task may see the answer: it evaluates none, or can call nothing in it.

    How long an evaluation takes is bounded elsewhere (`trainer.math_judge`).

    >>> is_harmless("countdown", "(3 + 4) * 25"), is_harmless("countdown", "exit()")
    (True, False)
    >>> is_harmless("simple_integration", "3*x**2/2 + sin(x) + C"), is_harmless("simple_integration", "preview(x)")
    (True, False)
    """
    allowed = _ALLOWED.get(task)
    if allowed is None:
        return True
    if not allowed.fullmatch(answer):
        return False
    if allowed is _LETTERS:
        return True
    called = all(_FUNCTION.fullmatch(name) for name in _CALLED.findall(answer))
    return called and len(answer) <= LONGEST and not _ATTRIBUTE.search(answer)
