"""The subcommands of `cusp`, one file a topic. Heavy parts are imported inside the functions."""
