"""Jobs of a worker: evaluating checkpoints, resuming trainings."""
