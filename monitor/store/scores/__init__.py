"""SQL of held-out scores, and of what a training completed: evaluations, verifications, samples."""
