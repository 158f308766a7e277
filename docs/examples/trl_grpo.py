"""TRL's GRPO: one line more than without Cusp. `cusp serve` beside it, then `python docs/examples/trl_grpo.py`."""

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
        output_dir="out/trl_grpo",
        max_steps=200,
        learning_rate=3e-4,
        per_device_train_batch_size=24,
        num_generations=6,
        max_completion_length=64,
        logging_steps=1,
        save_steps=5,
        bf16=False,  # true on a GPU
        report_to=[],
    ),
)
watched = cusp.watch(trainer)
trainer.train()  # returns at its end, or when it was stopped
if watched.kept is not None:
    print(f"kept: step {watched.kept.step} in {watched.kept.path}")
