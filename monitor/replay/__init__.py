"""Replay of the detector and the policy over a finished log."""
