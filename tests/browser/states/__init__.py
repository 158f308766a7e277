"""Runs in each state that a page can show, made through a real monitor: for the pictures and for axe-core."""
