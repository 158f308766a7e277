"""What a run's page says of the verdict and of what followed, each sentence once."""
