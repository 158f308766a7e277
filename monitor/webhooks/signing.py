"""The signature of a delivery: HMAC-SHA256 over its time and its exact bytes. Pure.

The scheme is Stripe's (https://docs.stripe.com/webhooks#verify-manually): the time is signed too, so
that a captured delivery cannot be replayed later, and `v1` leaves room for another algorithm beside it.
"""

import hashlib
import hmac
import secrets

HEADER = "Cusp-Signature"
_PREFIX = "whsec_"


def new_secret() -> str:
    """Return a secret of 256 random bits, recognisable to those who scan for leaked ones."""
    return _PREFIX + secrets.token_urlsafe(32)


def signature(secret: str, at: int, body: bytes) -> str:
    """Return the header's value for a body sent at `at` (UTC seconds).

    >>> signature("whsec_x", 1800000000, b"{}")[:20]
    't=1800000000,v1=98e2'
    """
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()}"
