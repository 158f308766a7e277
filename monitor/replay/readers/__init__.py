"""Readers of training logs, whatever wrote them."""
