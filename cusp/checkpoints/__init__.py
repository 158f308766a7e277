"""The checkpoints of a run on this box: manifests, hashes, kept copies, the registry."""
