"""Scores that a worker or anyone brings: rows, texts, problems, and comparing them."""
