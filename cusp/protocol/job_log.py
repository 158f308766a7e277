"""Bounds of what a worker sends of its job's log: the last lines of it."""

MOST_LINES = 200
MOST_CHARACTERS = (
    500  # of a line; 200 of these are 100 kB at most in a heartbeat, a few kB as a rule
)
