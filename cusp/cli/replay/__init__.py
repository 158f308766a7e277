"""`cusp replay`: the command, its options, what it prints."""
