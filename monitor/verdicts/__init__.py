"""Verdicts of a run, kept up to date with its points."""
