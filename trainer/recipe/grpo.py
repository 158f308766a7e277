"""The section `grpo`: arguments of `trl.GRPOConfig`."""

from typing import Annotated, Literal

from pydantic import Field

from trainer.recipe.sections import Amount, Count, Section, Share


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
