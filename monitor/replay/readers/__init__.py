"""Readers of training logs in all supported formats."""
