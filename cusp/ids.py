"""ULIDs: 26-character, time-ordered, made without asking anybody (https://github.com/ulid/spec)."""

import os
import re
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32
ULID_PATTERN = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_ULID = re.compile(ULID_PATTERN)


def new_id() -> str:
    """Return a fresh ULID: 48 bits of UTC milliseconds, then 80 random bits.

    >>> len(new_id())
    26
    """
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -5, -5))


def is_id(text: str) -> bool:
    """Return whether `text` is a well-formed ULID.

    >>> is_id(new_id()), is_id("../../etc/passwd")
    (True, False)
    """
    return _ULID.fullmatch(text) is not None
