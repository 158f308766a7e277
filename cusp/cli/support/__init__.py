"""Shared by several commands: output, run look-up, check of optional packages."""
