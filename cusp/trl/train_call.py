"""The call of `Trainer.train`, watched for the exception that ends it: transformers tells callbacks of none.

Without this an interrupted training in a notebook, whose process lives on, would never be known to have
ended. The wrapper adds nothing to a training but this: when `train()` raises, each callback of the trainer that
has `on_train_error` is told, and the exception goes on its way.
"""

import functools
import logging
from contextvars import ContextVar
from typing import Any

from transformers import Trainer

log = logging.getLogger("cusp")

_current: ContextVar[object | None] = ContextVar("cusp_train_call", default=None)


def current() -> object | None:
    """Return what stands for the call of `train()` under way, or None outside of one."""
    return _current.get()


def watch() -> None:
    """Watch every call of `Trainer.train` in this process from now on; once is enough."""
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
        except Exception as trouble:  # the training's own exception is the one to be seen
            log.warning("Cusp could not note how the training ended: %r", trouble)
