"""Monotonic ULIDs: 26-character, time-ordered ids (https://github.com/ulid/spec).

Ids of one process sort in the order in which they were made, also within one millisecond, across threads,
and when the clock steps back.
"""

import os
import re
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32
ULID_PATTERN = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_ULID = re.compile(ULID_PATTERN)

_guard = threading.Lock()
_last = 0  # the number of the newest id: 48 bits of milliseconds, then 80 random ones


def new_id() -> str:
    """Return a new ULID, greater than every earlier one of this process.

    >>> len(new_id()), new_id() < new_id()
    (26, True)
    """
    global _last
    # The highest random bit stays 0, which leaves room to count up within the millisecond.
    number = _now_ms() << 80 | int.from_bytes(os.urandom(10), "big") >> 1
    with _guard:
        if number >> 80 <= _last >> 80:
            number = _last + 1
        _last = number
    return _text(number)


def id_of(digest: bytes) -> str:
    r"""Return an id made of the first 16 bytes of a digest: the same content has the same id.

    >>> id_of(bytes(16)), is_id(id_of(b"\xff" * 32))
    ('00000000000000000000000000', True)
    """
    return _text(int.from_bytes(digest[:16], "big"))


def _text(number: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -5, -5))


def is_id(text: str) -> bool:
    """Return whether `text` is a well-formed ULID.

    >>> is_id(new_id()), is_id("../../etc/passwd")
    (True, False)
    """
    return _ULID.fullmatch(text) is not None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _after_fork() -> None:
    """Move to the next millisecond in the child: parent and child would count up from the same number."""
    global _guard, _last
    _guard = threading.Lock()  # a thread of the parent may have held it
    if _last:
        _last = ((_last >> 80) + 1) << 80 | int.from_bytes(os.urandom(10), "big") >> 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
