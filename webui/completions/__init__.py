"""Completions as HTML: format tags and boxed answers marked, and what differs between two."""
