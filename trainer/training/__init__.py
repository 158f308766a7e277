"""Parts of a GRPO training: data, model, rewards, callbacks, ranks."""
