"""The form of a webhook's URL, in one pattern that the document and the check share.

Where a URL may point depends on what its name resolves to and is found out when it is asked (409).
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from monitor.errors import AddressRefused
from monitor.webhooks.ssrf import LONGEST_URL, parse

_HEX = "[0-9A-Fa-f]{1,4}"
_IPV6 = "|".join(
    (
        f"({_HEX}:){{7}}{_HEX}",
        f"({_HEX}:){{1,7}}:",
        *(f"({_HEX}:){{1,{7 - tail}}}(:{_HEX}){{1,{tail}}}" for tail in range(1, 7)),
        f":((:{_HEX}){{1,7}}|:)",
    )
)
_PORT = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
PATTERN = (
    rf"^https?://([A-Za-z0-9_][A-Za-z0-9._-]{{0,252}}|\[({_IPV6})\])(:({_PORT}))?"
    r"([/?][A-Za-z0-9._~:/?@!$&'()*+,;=%-]*)?$"
)
_FORM = re.compile(PATTERN)


def readable(url: str) -> str:
    """Return the URL, or raise AddressRefused with a sentence that says what is wrong with it.

    >>> readable("https://[2606:4700::1111]:8443/cusp")
    'https://[2606:4700::1111]:8443/cusp'
    """
    parse(url)  # knows better sentences than a pattern
    if not _FORM.fullmatch(url):
        raise AddressRefused(f"the URL is {url[:200]!r}; use one like https://hooks.example/cusp")
    return url


Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_URL,
        examples=["https://hooks.example/cusp"],
        json_schema_extra={"pattern": PATTERN},
    ),
    AfterValidator(readable),
]
