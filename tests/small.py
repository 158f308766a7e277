"""Overrides of the recipe `tiny` with which it trains in a second: a smaller base, few problems."""

SMALL = (
    "model.hidden_size=16",
    "model.layers=1",
    "model.heads=2",
    "model.sft_steps=4",
    "model.sft_batch_size=16",
    "data.problems=16",
    "grpo.max_steps=4",
    "grpo.save_steps=2",
    "grpo.per_device_train_batch_size=12",
    "grpo.max_completion_length=12",
    "evaluation.selection_problems=8",
    "evaluation.report_problems=10",
    "evaluation.sampling.max_new_tokens=12",
)
