"""While a worker has a job: its lease is renewed, its last lines are kept."""
