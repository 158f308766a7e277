"""Golds and answers that are mathematics, or words beside it: read, and compared by math-verify."""
