"""transformers' own Trainer, without a line for Cusp: `import cusp` and `report_to="cusp"`.

Where the monitor is, and the run's name, come from the environment: CUSP_URL, CUSP_TOKEN, CUSP_RUN_NAME;
CUSP_MODE=disabled turns it off (docs/reference/settings.md).
"""

from small_task import MODEL, tokenizer, worked_examples
from transformers import (
    AutoModelForCausalLM,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainingArguments,
)

import cusp  # noqa: F401  # makes "cusp" known to report_to

words = tokenizer()
rows = worked_examples().map(
    lambda row: {"input_ids": words(row["prompt"] + row["completion"])["input_ids"]},
    remove_columns=["prompt", "completion"],
)
trainer = Trainer(
    model=AutoModelForCausalLM.from_pretrained(MODEL),
    train_dataset=rows,
    data_collator=DataCollatorForLanguageModeling(words, mlm=False),
    args=TrainingArguments(
        output_dir="out/transformers_trainer",
        max_steps=500,
        learning_rate=1e-3,
        per_device_train_batch_size=32,
        logging_steps=1,
        save_steps=5,
        report_to="cusp",
    ),
)
trainer.train()
