"""Scores of checkpoints with intervals, and which one is better: tasks, backends, scoring, statistics."""
