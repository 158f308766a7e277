"""What the callback reads off a transformers or TRL trainer."""
