"""SQL of the runs table: stored values of each series, sorting by a column, groups of runs."""
