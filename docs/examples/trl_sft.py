"""TRL's supervised fine-tuning: no rewards, so no format transition; curves, checkpoints and Stop all the same."""

from peft import LoraConfig
from small_task import MODEL, tokenizer, worked_examples
from trl import SFTConfig, SFTTrainer

import cusp

trainer = SFTTrainer(
    model=MODEL,
    processing_class=tokenizer(),
    train_dataset=worked_examples(),
    peft_config=LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"),
    args=SFTConfig(
        output_dir="out/trl_sft",
        max_steps=500,
        learning_rate=1e-3,
        per_device_train_batch_size=32,
        max_length=128,
        logging_steps=1,
        save_steps=5,
        bf16=False,  # true on a GPU
        report_to=[],
    ),
)
watched = cusp.watch(trainer)
trainer.train()
if watched.kept is not None:
    print(f"kept: step {watched.kept.step} in {watched.kept.path}")
