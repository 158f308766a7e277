"""Token buckets: how often one asker may ask, in bounded memory."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KEYS = 10_000


class Buckets:
    """One bucket for each key: `burst` requests at once, then `rate_per_s`.

    The key that has not asked for longest is forgotten when there are more than `most`; by then its
    bucket is full again, or so many are asking that no memory would be enough.

    >>> buckets = Buckets(2.0, 1, ticks=lambda: 0.0)
    >>> buckets.take("a"), buckets.take("a"), buckets.take("b")
    (0.0, 0.5, 0.0)
    """

    def __init__(
        self,
        rate_per_s: float,
        burst: float,
        *,
        ticks: Callable[[], float] = time.monotonic,
        most: int = MOST_KEYS,
    ) -> None:
        self._rate, self._burst = rate_per_s, burst
        self._ticks = ticks
        self._most = most
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._levels)

    def wait_s(self, key: str) -> float:
        """Return 0.0 if the key may ask now, else after how many seconds. Takes nothing."""
        level, _ = self._now(key)
        return 0.0 if level >= 1 else (1 - level) / self._rate

    def take(self, key: str) -> float:
        """Return 0.0 after taking one request, else after how many seconds there will be one."""
        level, at = self._now(key)
        wait_s = 0.0 if level >= 1 else (1 - level) / self._rate
        self._levels[key] = (level if wait_s else level - 1, at)
        self._levels.move_to_end(key)
        while len(self._levels) > self._most:
            self._levels.popitem(last=False)
        return wait_s

    def _now(self, key: str) -> tuple[float, float]:
        now = self._ticks()
        level, at = self._levels.get(key, (self._burst, now))
        return min(self._burst, level + (now - at) * self._rate), now


def network_of(address: str) -> str:
    """Return what one asker has: an IPv4 address, or the /64 in which an IPv6 one is chosen freely.

    >>> network_of("192.0.2.7"), network_of("2001:db8::7"), network_of("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7')
    >>> network_of("a socket's name")
    "a socket's name"
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
