"""Policy: decisions and candidates from a verdict. Pure: no store, no clock, no I/O."""
