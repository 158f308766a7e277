"""Operating system: file locks, child processes, forks, launcher ranks, the last exception."""
