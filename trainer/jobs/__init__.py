"""A worker's jobs: evaluating checkpoints, resuming trainings."""
