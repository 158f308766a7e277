"""Keeps a run's verdicts up to date with its points."""
