"""What Cusp would have said of a finished log."""
