"""Tokens, sessions, scopes, cross-site checks and rate limits."""
