"""The operating system: locks, children, forks, ranks of a launcher, the last exception."""
