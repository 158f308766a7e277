"""A task: problems with gold answers, how completions are drawn, and how they are judged."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from trainer.recipe import Sampling, Verifier

Split = Literal["selection", "report"]
SPLITS: tuple[Split, ...] = ("selection", "report")


@dataclass(frozen=True)
class Problem:
    """One question as a conversation, with the gold answer."""

    id: str
    messages: tuple[dict[str, str], ...]
    answer: str

    @property
    def told(self) -> tuple[str, str, str]:
        """(id, question, gold answer): what a person is shown of it."""
        asked = [each["content"] for each in self.messages if each["role"] == "user"]
        return self.id, "\n\n".join(asked), self.answer


@dataclass(frozen=True)
class TaskSpec:
    """One set of one task; `sha256` covers everything that can change the score of a sample.

    `opening` follows the rendered prompt: every completion goes on from it.
    """

    name: str
    split: Split
    problems: tuple[Problem, ...]
    verifier: Verifier
    sampling: Sampling
    opening: str = ""

    @cached_property
    def sha256(self) -> str:
        # How many are drawn, and at once, changes no sample: each has a seed of its own.
        apart = {"batch_size", "samples_per_problem"}
        drawn = self.sampling.model_dump(mode="json", exclude=apart)
        content = [self.name, self.split, self.verifier, drawn, self.opening]
        problems = [dataclasses.asdict(problem) for problem in self.problems]
        text = json.dumps([content, problems], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class TaskSets(NamedTuple):
    """What is chosen on, and what is reported on: one task to choose on, one or more to report on."""

    selection: TaskSpec
    report: tuple[TaskSpec, ...]
