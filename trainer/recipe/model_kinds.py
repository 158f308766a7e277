"""The section `model`: the base model that is trained."""

from typing import Annotated, Literal

from pydantic import Field

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


Model = Annotated[TinyModel | PretrainedModel, Field(discriminator="kind")]
