"""Verification: is the model now worse on held-out problems than an earlier checkpoint? Pure."""
