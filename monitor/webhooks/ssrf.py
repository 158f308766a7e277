"""SSRF guard of webhooks: rules for the URL and for the addresses that its host resolves to. Pure.

A monitor stands inside a network that its callers do not; whoever may add a webhook must not gain a way
in. The rules speak about addresses, not names: a name, an unusual spelling (`0x7f.1`) or a DNS answer
decides nothing. Only addresses known to be public pass; everything else is refused, known or not.
Source of the ranges: `ipaddress`, which follows the IANA special-purpose address registries, and beside it
what its older versions let through.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from monitor.errors import AddressRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
PORTS = (443, 8443)
LONGEST_URL = 2_000
SETTING = "CUSP_WEBHOOK_ALLOW"

# What `ipaddress` of some Python from 3.11 on calls global and what no webhook may reach.
_NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's own services, public by number only
        "192.0.0.0/24",  # for protocols; cloud metadata at Oracle
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo carries an IPv4 address, others are for protocols
        "2002::/16",  # 6to4 carries an IPv4 address
        "3fff::/20",  # documentation
    )
]
# Of IPv6 only what is handed out to the public; so IPv4-mapped and -compatible addresses, NAT64
# (64:ff9b::/96), unique local, link-local, site-local and multicast ones are refused without a list.
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")


@dataclass(frozen=True)
class Target:
    """A URL taken apart: what to connect to and what to ask for. `path` holds the query too."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Return the Host header's value."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return name if self.port == usual else f"{name}:{self.port}"


def parse(url: str) -> Target:
    """Return the URL's parts, or raise AddressRefused.

    >>> parse("https://hooks.example/cusp?team=7")
    Target(scheme='https', host='hooks.example', port=443, path='/cusp?team=7')
    """
    shown = repr(url[:200])
    if not (url.isascii() and url.isprintable()) or set(url) & set(' \\"<>^`{|}'):
        raise AddressRefused(
            f"the URL {shown} holds characters no URL has; encode them (%20, xn--)"
        )
    if len(url) > LONGEST_URL:
        raise AddressRefused(f"the URL has {len(url)} characters; at most {LONGEST_URL} are taken")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise AddressRefused(f"the URL {shown} cannot be read ({error})") from None
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise AddressRefused(f"the URL is {shown}; use one like https://hooks.example/cusp")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused(
            "the URL holds a user or password, which would be shown in lists; leave them out"
        )
    if parts.fragment:
        raise AddressRefused(
            f"the URL {shown} has a fragment (#), which is never sent; leave it out"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)


def allowed_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a comma-separated list; ValueError names the one that is none.

    >>> allowed_networks("10.1.0.0/16, 127.0.0.1")
    (IPv4Network('10.1.0.0/16'), IPv4Network('127.0.0.1/32'))
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(ipaddress.ip_network(part))
        except ValueError as error:
            raise ValueError(f"{SETTING} holds {part!r}: {error}; use 10.1.0.0/16") from None
    return tuple(found)


def checked(target: Target, resolved: Sequence[str], allowed: Sequence[Network]) -> list[str]:
    """Return the addresses to connect to, or raise AddressRefused if any of them is out of bounds.

    One bad address among good ones is refused as well: a name that resolves to both is how a filter
    that looks at the first one is passed by.
    """
    if not resolved:
        raise AddressRefused(f"the name {target.host!r} has no address; look at the URL again")
    for text in resolved:
        problem = _problem(target, text, allowed)
        if problem:
            raise AddressRefused(problem)
    return list(resolved)


def _problem(target: Target, text: str, allowed: Sequence[Network]) -> str | None:
    address = ipaddress.ip_address(text)
    named = any(address in network for network in allowed)
    where = text if text == target.host else f"{target.host}, which is {text},"
    if target.scheme == "http" and not (named and address.is_loopback):
        return (
            f"the webhook would go to {where} unencrypted; use https"
            f" (http is for this machine alone, with {SETTING}=127.0.0.1)"
        )
    if named:
        return None
    if not is_public(address):
        return (
            f"the webhook would go to {where} inside a network that is not public;"
            f" if that is meant, start the monitor with {SETTING}={text}"
        )
    if target.port not in PORTS:
        ports = " or ".join(map(str, PORTS))
        return f"the webhook would go to port {target.port}; a public address is reached at {ports}"
    return None


def is_public(address: Address) -> bool:
    """Return whether the address is one anybody on the internet could have.

    >>> is_public(ipaddress.ip_address("93.184.216.34"))
    True
    >>> is_public(ipaddress.ip_address("::ffff:93.184.216.34"))
    False
    """
    if address.version == 6 and address not in _PUBLIC_6:
        return False
    listed = any(address in network for network in _NOT_PUBLIC)
    return address.is_global and not address.is_multicast and not listed
