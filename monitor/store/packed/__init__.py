"""Points packed by 256 steps, so that a long run is read in milliseconds."""
