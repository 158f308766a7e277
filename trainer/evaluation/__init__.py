"""Evaluation of checkpoints: tasks, generation, statistics, comparison."""
