"""The series of a run's roles, made from what its trainer logged."""
