"""Commands about a box: `cusp doctor`, and trainings sent to a worker."""
