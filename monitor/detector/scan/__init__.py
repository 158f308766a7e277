"""The isotonic reversal scan, its gates and the weights of its evidence."""
