"""Reference trainer: GRPO with LoRA by TRL, and the worker that evaluates and resumes runs."""
