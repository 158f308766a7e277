"""The completions of one call of a reward function: texts, token ids, lengths, groups, columns of the data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cusp.errors import CuspError
from trainer.recipe import Unit
from trainer.verifiers import Score

LogMetric = Callable[[str, float], None]


class RewardError(CuspError, ValueError):
    """A reward cannot be computed from what the trainer gives; the message says what is missing."""


@dataclass(frozen=True)
class Completions:
    """What TRL passes to a reward function on this process; one entry for each completion."""

    texts: Sequence[str]
    prompts: Sequence[Any]
    ids: Sequence[Sequence[int]] | None
    columns: Mapping[str, Any]
    log_metric: LogMetric

    @classmethod
    def of_call(cls, completions: Sequence[Any], **given: Any) -> "Completions":
        """Return the completions of a call with TRL's arguments."""
        return cls(
            texts=[text_of(each) for each in completions],
            prompts=given.pop("prompts", None) or [None] * len(completions),
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

    def groups(self, most: int) -> Iterator[slice]:
        """Yield the place of each prompt's completions: neighbours of one prompt, `most` of them at most."""
        start = 0
        for place in range(1, len(self.prompts) + 1):
            ended = place == len(self.prompts) or self.prompts[place] != self.prompts[start]
            if ended or place - start == most:
                yield slice(start, place)
                start = place


def text_of(completion: Any) -> str:
    """Return the text of a completion in TRL's plain or conversational format."""
    return completion if isinstance(completion, str) else str(completion[0]["content"])


def _log_nowhere(_: str, __: float) -> None:
    """Discard a metric: the function was called without a trainer."""


Values = Callable[[Completions], list[Score]]
"""A reward without its name: the value of each completion."""
