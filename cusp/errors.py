"""The base of every error that is a sentence for a person."""


class CuspError(Exception):
    """What a person asked for cannot be done: the message names the value and the way out.

    Programs print its message and exit with 2. Every other exception is a fault of ours and keeps its
    traceback.
    """
