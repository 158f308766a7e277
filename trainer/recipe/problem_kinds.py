"""The sections `data` and `evaluation`: training problems, and held-out ones with how completions are drawn."""

from typing import Annotated, Literal

from pydantic import Field

from trainer.recipe.reward_kinds import Verifier
from trainer.recipe.sections import Count, Section, Share


class TinyData(Section):
    """Generated additions: `hard_share` of them has `hard_digits` digits, the rest `digits`."""

    kind: Literal["tiny"]
    problems: Count
    digits: Count
    hard_digits: Count
    hard_share: Share
    seed: int


class JsonlData(Section):
    """A local file with one problem a line; `path` is relative to the working folder."""

    kind: Literal["jsonl"]
    path: str
    problem_column: str
    solution_column: str
    solution_in_dollars: bool
    system_prompt: str | None
    max_prompt_tokens: Count | None


class HubData(Section):
    """A data set of the Hugging Face hub."""

    kind: Literal["hub"]
    id: str
    config: str | None
    split: str
    revision: str | None
    problem_column: str
    solution_column: str
    solution_in_dollars: bool
    system_prompt: str | None
    max_prompt_tokens: Count | None


Data = Annotated[TinyData | JsonlData | HubData, Field(discriminator="kind")]


class Sampling(Section):
    """How completions are drawn in an evaluation."""

    samples_per_problem: Count
    max_new_tokens: Count
    temperature: Annotated[float, Field(gt=0)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    batch_size: Count


class TinyEvaluation(Section):
    """Held-out additions: `selection_problems` to choose on, `report_problems` to report on."""

    kind: Literal["tiny"]
    digits: Count
    selection_problems: Count
    report_problems: Count
    seed: int
    sampling: Sampling


class JsonlEvaluation(Section):
    """Two local files in the form of `JsonlData`, with an `id` in each line."""

    kind: Literal["jsonl"]
    task: str
    selection_path: str
    report_path: str
    problem_column: str
    solution_column: str
    verifier: Verifier
    system_prompt: str | None
    sampling: Sampling


Evaluation = Annotated[TinyEvaluation | JsonlEvaluation, Field(discriminator="kind")]
