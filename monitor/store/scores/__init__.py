"""SQL of held-out scores: evaluations of checkpoints, verifications of a suspicion."""
