"""What the command line does about evaluations beyond asking for them."""
