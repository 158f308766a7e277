"""Verification of a suspicion on held-out problems: asked for, answered, and what it lets go."""
