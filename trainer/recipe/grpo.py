"""The section `grpo`: arguments of `trl.GRPOConfig`."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from trainer.recipe.sections import Amount, Count, Section, Share

Positive = Annotated[float, Field(gt=0)]
LossType = Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]
SamplingCorrection = Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"]
# Where a server listens by default; as an address it is no machine's.
ANY_ADDRESS = "0.0.0.0"


class GrpoSection(Section):
    """Arguments of `trl.GRPOConfig`, by the same names and with the same meaning.

    Keys with a default came later; the default is that of TRL 1.16, with which recipes stored before them
    trained. `gradient_accumulation_steps` is null where `run.prompts_per_step` derives it, and
    `per_device_train_batch_size` is then the most completions that a device takes at once. Arguments that
    have no key here are set by Cusp, or have no meaning in its trainings (`tests/trainer/test_grpo_section.py`).
    """

    max_steps: Count
    learning_rate: Amount
    lr_scheduler_type: str
    lr_scheduler_kwargs: dict[str, float] | None
    warmup_steps: Amount
    per_device_train_batch_size: Count
    gradient_accumulation_steps: Count | None
    steps_per_generation: Count | None = None
    num_generations: Annotated[int, Field(ge=2)]
    num_iterations: Count
    shuffle_dataset: bool = True

    max_completion_length: Count
    temperature: Positive
    top_p: Share
    top_k: Annotated[int, Field(ge=0)]
    min_p: Share | None = None
    repetition_penalty: Positive = 1.0
    generation_kwargs: dict[str, JsonValue] | None = None
    chat_template_kwargs: dict[str, JsonValue] | None = None
    cache_implementation: str | None = None
    use_transformers_continuous_batching: bool = False
    transformers_continuous_batching_config: dict[str, JsonValue] | None = None
    ds3_gather_for_generation: bool = True
    pad_to_multiple_of: Count | Literal["auto"] | None = "auto"

    beta: Amount
    epsilon: Amount
    epsilon_high: Amount | None = None
    delta: Amount | None = None
    loss_type: LossType
    sapo_temperature_neg: Positive = 1.05
    sapo_temperature_pos: Positive = 1.0
    vespo_k_pos: Amount = 2.0
    vespo_lambda_pos: Amount = 3.0
    vespo_k_neg: Amount = 3.0
    vespo_lambda_neg: Amount = 2.0
    scale_rewards: Literal["group", "batch", "none"]
    multi_objective_aggregation: Literal["sum_then_normalize", "normalize_then_sum"] = (
        "sum_then_normalize"
    )
    mask_truncated_completions: bool
    importance_sampling_level: Literal["token", "sequence"]
    off_policy_mask_threshold: Positive | None = None
    use_bias_correction_kl: bool = True
    top_entropy_quantile: Share = 1.0
    entropy_coef: Amount = 0.0
    use_adaptive_entropy: bool = False
    entropy_coef_min: Amount = 0.0
    entropy_coef_max: Amount = 1.0
    entropy_coef_delta: Amount = 0.005
    entropy_target: Amount = 0.2
    sync_ref_model: bool = False
    ref_model_mixup_alpha: Share = 0.6
    ref_model_sync_steps: Count = 512
    router_aux_loss_coef: Amount | None = None
    disable_dropout: bool = False

    max_grad_norm: Amount
    optim: str
    optim_args: str | None = None
    adam_beta1: Share
    adam_beta2: Share
    adam_epsilon: Amount
    weight_decay: Amount
    bf16: bool
    tf32: bool | None = None
    cast_lm_head_to_fp32: bool = False
    use_liger_kernel: bool = False
    gradient_checkpointing: bool
    gradient_checkpointing_kwargs: dict[str, JsonValue] | None = None
    torch_compile: bool = False
    torch_empty_cache_steps: Count | None = None
    dataloader_num_workers: Annotated[int, Field(ge=0)] = 0
    ddp_find_unused_parameters: bool | None = None
    ddp_timeout: Count = 1800
    save_steps: Count
    save_only_model: bool

    use_vllm: bool
    vllm_mode: Literal["colocate", "server"]
    vllm_model_impl: Literal["vllm", "transformers"] = "vllm"
    vllm_gpu_memory_utilization: Share
    vllm_max_model_length: Count | None
    vllm_tensor_parallel_size: Count = 1
    vllm_enable_sleep_mode: bool = False
    vllm_structured_outputs_regex: str | None = None
    vllm_server_base_url: str | None = None
    vllm_server_host: str = ANY_ADDRESS
    vllm_server_port: Annotated[int, Field(ge=1, le=65535)] = 8000
    vllm_server_timeout: Positive = 240.0
    vllm_group_port: Annotated[int, Field(ge=1, le=65535)] = 51216
    vllm_importance_sampling_correction: bool
    vllm_importance_sampling_mode: SamplingCorrection = "sequence_mask"
    vllm_importance_sampling_clip_max: Positive | None = 3.0
    vllm_importance_sampling_clip_min: Positive | None = None

    @property
    def lacks_address(self) -> bool:
        """Whether rollouts come from a server that is not named, as in recipes stored before there was the key.

        TRL then asks ANY_ADDRESS. Such a recipe can be read, for its run's sake, but no new training begins with it.
        """
        named = self.vllm_server_base_url or self.vllm_server_host != ANY_ADDRESS
        return self.use_vllm and self.vllm_mode == "server" and not named
