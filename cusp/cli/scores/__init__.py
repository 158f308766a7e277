"""Scores made elsewhere: reading the files of other harnesses, and writing ours."""
