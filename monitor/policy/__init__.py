"""What follows from a verdict. Pure: no store, no clock, no input or output."""
