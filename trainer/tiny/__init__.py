"""Embedded task without downloads: additions, a 23-token tokenizer and a locally trained base model."""
