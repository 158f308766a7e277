"""Completions from vLLM: the engine, how the adapter reaches it, and what shows that it did."""
