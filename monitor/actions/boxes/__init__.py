"""What is asked of boxes rather than of runs: new trainings."""
