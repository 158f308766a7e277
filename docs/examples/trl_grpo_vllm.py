"""TRL's GRPO whose completions vLLM generates, in the training's own process (`vllm_mode="colocate"`).

Nothing changes for Cusp, but that TRL then also logs how far vLLM's log-probabilities are from the trainer's
(`sampling/sampling_logp_difference/mean`): the role `logp_difference`, shown on the run's page.
"""

from peft import LoraConfig
from small_task import MODEL, correctness_reward, format_reward, problems, tokenizer
from trl import GRPOConfig, GRPOTrainer

import cusp

trainer = GRPOTrainer(
    model=MODEL,
    processing_class=tokenizer(),
    reward_funcs=[format_reward, correctness_reward],
    train_dataset=problems(),
    peft_config=LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"),
    args=GRPOConfig(
        output_dir="out/trl_grpo_vllm",
        max_steps=200,
        learning_rate=3e-4,
        per_device_train_batch_size=24,
        num_generations=6,
        max_completion_length=64,
        logging_steps=1,
        save_steps=5,
        bf16=False,  # true on a GPU
        report_to=[],
        use_vllm=True,
        vllm_mode="colocate",
        vllm_gpu_memory_utilization=0.3,
        vllm_max_model_length=128,
    ),
)
watched = cusp.watch(trainer)
trainer.train()
if watched.kept is not None:
    print(f"kept: step {watched.kept.step} in {watched.kept.path}")
