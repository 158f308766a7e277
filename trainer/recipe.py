"""The recipe: a YAML file that fully describes a training. Every value is written out in it.

No field has a default, so a recipe never means something else after an upgrade; an unknown key is
refused. Names under `grpo` are those of `trl.GRPOConfig` (TRL 1.16).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

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


class LoraSection(Section):
    """`peft.LoraConfig` for causal language models."""

    r: Count
    lora_alpha: Count
    lora_dropout: Share
    target_modules: tuple[str, ...]


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


Verifier = Literal["boxed_integer", "math_verify"]


class FormatReward(Section):
    """1 if the completion closes its thought exactly once on a line of its own, else 0."""

    name: Literal["format"]
    weight: Amount


class AccuracyReward(Section):
    """1 if the final answer is right, 0 if it is wrong, none if the verifier failed."""

    name: Literal["accuracy"]
    weight: Amount
    verifier: Verifier


class CosineReward(Section):
    """Accuracy scaled by length: from the `short` value to the `long` one along half a cosine.

    `max_length` is in characters; with `clamp` a longer completion gets the `long` value, without
    it the cosine goes on (as in Tina's code).
    """

    name: Literal["cosine"]
    weight: Amount
    verifier: Verifier
    right_short: float
    right_long: float
    wrong_short: float
    wrong_long: float
    max_length: Count
    clamp: bool


Reward = Annotated[FormatReward | AccuracyReward | CosineReward, Field(discriminator="name")]


class GrpoSection(Section):
    """Arguments of `trl.GRPOConfig`, by the same names and with the same meaning."""

    max_steps: Count
    learning_rate: Amount
    lr_scheduler_type: str
    lr_scheduler_kwargs: dict[str, float] | None
    warmup_steps: Amount
    per_device_train_batch_size: Count
    gradient_accumulation_steps: Count
    num_generations: Annotated[int, Field(ge=2)]
    num_iterations: Count
    max_completion_length: Count
    temperature: Annotated[float, Field(gt=0)]
    top_p: Share
    top_k: Annotated[int, Field(ge=0)]
    beta: Amount
    epsilon: Amount
    loss_type: Literal["grpo", "bnpo", "dr_grpo", "dapo"]
    scale_rewards: Literal["group", "batch", "none"]
    mask_truncated_completions: bool
    importance_sampling_level: Literal["token", "sequence"]
    max_grad_norm: Amount
    optim: str
    adam_beta1: Share
    adam_beta2: Share
    adam_epsilon: Amount
    weight_decay: Amount
    bf16: bool
    gradient_checkpointing: bool
    save_steps: Count
    save_only_model: bool
    use_vllm: bool
    vllm_mode: Literal["colocate", "server"]
    vllm_gpu_memory_utilization: Share
    vllm_max_model_length: Count | None
    vllm_importance_sampling_correction: bool


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


class Recipe(Section):
    """One training, fully described; read it with `trainer.recipe_loader.load_recipe`."""

    run: RunSection
    model: Annotated[TinyModel | PretrainedModel, Field(discriminator="kind")]
    lora: LoraSection
    data: Annotated[TinyData | JsonlData | HubData, Field(discriminator="kind")]
    rewards: Annotated[tuple[Reward, ...], Field(min_length=1)]
    grpo: GrpoSection
    evaluation: Annotated[TinyEvaluation | JsonlEvaluation, Field(discriminator="kind")] | None
    seed: int

    @model_validator(mode="after")
    def _rewards_are_named_once(self) -> "Recipe":
        names = [reward.name for reward in self.rewards]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"the reward {min(twice)!r} is listed twice; list it once")
        if all(reward.weight == 0 for reward in self.rewards):
            raise ValueError("every reward has weight 0, so nothing would be learnt")
        return self

    @model_validator(mode="after")
    def _groups_fill_the_batch(self) -> "Recipe":
        batch = self.grpo.per_device_train_batch_size * self.grpo.gradient_accumulation_steps
        if batch % self.grpo.num_generations:
            raise ValueError(
                f"{batch} completions per device and step cannot be cut into groups of"
                f" {self.grpo.num_generations}; change grpo.per_device_train_batch_size"
            )
        return self

    @property
    def last_step(self) -> int:
        """The step at which the training ends by itself."""
        return min(self.run.stop_at_step or self.grpo.max_steps, self.grpo.max_steps)

    def completions_per_step(self, processes: int) -> int:
        """Return how many completions one logged point averages over."""
        grpo = self.grpo
        return processes * grpo.per_device_train_batch_size * grpo.gradient_accumulation_steps
