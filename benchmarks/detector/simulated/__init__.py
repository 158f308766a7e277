"""Scores a detector on the second generator (`__main__.py`)."""
