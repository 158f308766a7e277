"""Decorator that logs an exception of ours once with its traceback, so that the training goes on."""

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

log = logging.getLogger("cusp")

P = ParamSpec("P")
T = TypeVar("T")
_said: set[tuple[str, str]] = set()


def harmless(default: T) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator: where the function raises, it returns `default` instead.

    KeyboardInterrupt and SystemExit pass.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                _say_once(function.__qualname__, error)
                return default

        return guarded

    return decorate


def _say_once(where: str, error: Exception) -> None:
    if (where, type(error).__name__) in _said:
        return
    _said.add((where, type(error).__name__))
    log.error(
        "A fault of Cusp in %s (said once); the training goes on: %s", where, error, exc_info=error
    )
