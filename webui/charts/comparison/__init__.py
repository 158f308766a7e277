"""Charts of several runs: their lines over one axis, bands of groups, score against cost."""
