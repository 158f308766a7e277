"""Role series of a run, computed from its logged series."""
