"""The completions of one call of a reward function: texts, token ids, lengths, groups, columns of the data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cusp.errors import CuspError
from trainer.recipe import Unit
from trainer.training.distributed import alone
from trainer.verifiers import Score

LogMetric = Callable[[str, float], None]


class RewardError(CuspError, ValueError):
    """A reward cannot be computed from what the trainer gives; the message says what is missing."""


@dataclass(frozen=True)
class Completions:
    """What TRL passes to a reward function on this process; one entry for each completion."""

    texts: Sequence[str]
    ids: Sequence[Sequence[int]] | None
    columns: Mapping[str, Any]
    log_metric: LogMetric

    @classmethod
    def of_call(cls, completions: Sequence[Any], **given: Any) -> "Completions":
        """Return the completions of a call with TRL's arguments."""
        return cls(
            texts=[text_of(each) for each in completions],
            ids=given.pop("completion_ids", None),
            log_metric=given.pop("log_metric", None) or _log_nowhere,
            columns=given,
        )

    def column(self, name: str) -> Sequence[Any]:
        """Return a column of the data; RewardError if it has none of that name."""
        if name not in self.columns:
            raise RewardError(f"the training data has no column {name!r}, which a reward needs")
        values: Sequence[Any] = self.columns[name]
        return values

    def token_ids(self) -> Sequence[Sequence[int]]:
        """Return the token ids, of which the last may be the end of the sequence."""
        if self.ids is None:
            raise RewardError("a reward counts tokens, and the trainer gave no completion_ids")
        return self.ids

    def lengths(self, unit: Unit) -> list[int]:
        """Return the length of each completion in characters or tokens."""
        return [len(each) for each in (self.texts if unit == "characters" else self.token_ids())]

    def of_prompt(self, lengths: Sequence[int], size: int) -> list[Sequence[int]]:
        """Return for each completion the lengths of its prompt's `size`, also of those on other processes.

        TRL deals out the completions in order, so that a group can end on one process and go on on the next.
        """
        everyones, first = lengths, 0
        if len(lengths) % size and not alone():
            everyones, first = _of_all_processes(lengths)
        starts = [(first + place) // size * size for place in range(len(lengths))]
        return [everyones[start : start + size] for start in starts]


def _of_all_processes(lengths: Sequence[int]) -> tuple[list[int], int]:
    """Return the lengths on all processes, and the place of this one's first; every process must call it."""
    from accelerate import PartialState  # type: ignore[import-untyped]
    from accelerate.utils import gather_object  # type: ignore[import-untyped]

    return gather_object(list(lengths)), PartialState().process_index * len(lengths)


def text_of(completion: Any) -> str:
    """Return the text of a completion in TRL's plain or conversational format."""
    return completion if isinstance(completion, str) else str(completion[0]["content"])


def _log_nowhere(_: str, __: float) -> None:
    """Discard a metric: the function was called without a trainer."""


Values = Callable[[Completions], list[Score]]
"""A reward without its name: the value of each completion."""
