"""Verification inside of a training: the weights of now against earlier checkpoints, on held-out problems."""
