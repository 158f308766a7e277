"""What several commands share: output, finding a run, the packages an extra needs."""
