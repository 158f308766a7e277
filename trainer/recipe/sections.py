"""What every section of a recipe is, and the short ones: `run`, `lora`, `rollouts`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cusp.protocol.run import Policy

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """Base of every part of a recipe: immutable, unknown keys refused, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RunSection(Section):
    """How the run is called and what the monitor may do with it.

    `stop_at_step` ends the training there although the schedule reaches to `grpo.max_steps`.
    `processes` is the number of processes that the batch under `grpo` is written for: on another number
    it is shared so that a step has as many completions. None (and in recipes stored before there was
    the key): the batch is that of each process, whatever their number.
    """

    project: str
    name: str
    tags: tuple[str, ...]
    policy: Policy
    gpu_hourly_usd: Amount | None
    stop_at_step: Count | None
    processes: Count | None = None
    progress_every_steps: Count
    samples_every_steps: Count


class LoraSection(Section):
    """`peft.LoraConfig` for causal language models."""

    r: Count
    lora_alpha: Count
    lora_dropout: Share
    target_modules: tuple[str, ...]


class RolloutsSection(Section):
    """What vLLM generates from; without `grpo.use_vllm` the training's own model generates.

    `adapter` gives the engine the LoRA adapter itself, so its base weights never change. `merged` is TRL's
    own way (and Tina's): the adapter is merged into the base at the base's precision and all weights are
    sent. Recipes stored before there was the section trained with `merged`.
    """

    sync: Literal["adapter", "merged"]
