"""What every section of a recipe is, and the short ones: `run`, `lora`, `rollouts`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from cusp.protocol.run import Policy

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]


def _processes(value: object) -> int | Literal["auto"]:
    """Return a number of processes; one error for both forms, where a union has one for each."""
    if value == "auto":
        return "auto"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError("it must be auto or a whole number of at least 1")


Processes = Annotated[int | Literal["auto"], PlainValidator(_processes)]


class Section(BaseModel):
    """Base of every part of a recipe: immutable, unknown keys refused, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RunSection(Section):
    """How the run is called and what the monitor may do with it.

    `stop_at_step` ends the training there although the schedule reaches to `grpo.max_steps`.

    `prompts_per_step` is the batch: so many prompts with `grpo.num_generations` completions each, whatever
    the number of processes (the accumulation is derived), which `processes` says: so many, or `auto`, one a
    visible GPU. Without `prompts_per_step` (recipes stored before there was the key) `processes` is the
    number that the batch under `grpo` is written for: on another number it is shared so that a step has as
    many completions. None (stored before there was that key): the batch is that of each process.
    """

    project: str
    name: str
    tags: tuple[str, ...]
    policy: Policy
    gpu_hourly_usd: Amount | None
    stop_at_step: Count | None
    prompts_per_step: Count | None = None
    processes: Processes | None = None
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
