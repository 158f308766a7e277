"""The isotonic reversal scan and what weighs its evidence."""
