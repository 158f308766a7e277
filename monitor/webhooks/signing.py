"""The headers that sign a delivery as Standard Webhooks says (https://www.standardwebhooks.com). Pure.

A receiver verifies them with that project's library in its own language.
"""

import base64
import secrets
from datetime import UTC, datetime

from standardwebhooks import Webhook

_PREFIX = "whsec_"


def new_secret() -> str:
    """Return a secret of 256 random bits, recognisable to those who scan for leaked ones."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signed_headers(secret: str, delivery_id: str, at: float, body: str) -> dict[str, str]:
    """Return the headers of a body sent at `at` (UTC seconds).

    >>> signed_headers("whsec_eA==", "01J", 1800000000.5, "{}")["webhook-signature"]
    'v1,I1rjoQcYSufrMMsf7VMerSM5tTOuYmJKa/uj0G/IjAU='
    """
    # Secrets made by earlier versions are in the URL-safe alphabet, of which the library skips a part.
    key = base64.urlsafe_b64decode(secret.removeprefix(_PREFIX) + "==")
    sent_at = datetime.fromtimestamp(int(at), UTC)
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": Webhook(key).sign(delivery_id, sent_at, body),
    }
