"""Readers of what trainers write, into what Cusp takes."""
