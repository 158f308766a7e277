"""Wraps `Trainer.train` to report its exception, which transformers passes to no callback.

Without this an interrupted training in a notebook, whose process lives on, would never count as ended. When
`train()` raises, the wrapper calls `on_train_error` of each callback that has it and re-raises.
"""

import functools
import logging
from contextvars import ContextVar
from typing import Any

from transformers import Trainer

log = logging.getLogger("cusp")

_current: ContextVar[object | None] = ContextVar("cusp_train_call", default=None)


def current() -> object | None:
    """Return a token that identifies the current call of `train()`, or None outside of one."""
    return _current.get()


def watch() -> None:
    """Wrap `Trainer.train` in this process; idempotent."""
    original = Trainer.train
    if getattr(original, "watched_by_cusp", False):
        return

    @functools.wraps(original)
    def train(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = _current.set(object())
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            _tell(self, error)
            raise
        finally:
            _current.reset(before)

    train.watched_by_cusp = True  # type: ignore[attr-defined]
    Trainer.train = train


def _tell(trainer: Any, error: BaseException) -> None:
    handler = getattr(trainer, "callback_handler", None)
    for callback in getattr(handler, "callbacks", ()):
        if (tell := getattr(callback, "on_train_error", None)) is None:
            continue
        try:
            tell(error)
        except Exception as trouble:  # must not hide the training's own exception
            log.warning("Cusp could not note how the training ended: %r", trouble)
