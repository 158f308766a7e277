"""Ways to draw completions from a base model with an adapter; each gives the same rows."""
