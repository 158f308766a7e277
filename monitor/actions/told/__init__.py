"""What a person tells of a run: its roles, the price of its GPUs."""
