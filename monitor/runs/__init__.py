"""Facts about a run that need no database: durations, what was left out, its sentence."""
