"""Which vLLM servers are given the key: this machine's, and those of the hosts that the environment names.

The address may come from the overrides of a training that was submitted over the network.
"""

import ipaddress
import os
import re

from cusp.process.secret_files import secret

TOKEN = "VLLM_API_KEY"  # vLLM's own name, on the server as well
HOSTS = "CUSP_VLLM_HOSTS"
# Nothing that two parsers of addresses read differently: no user, no backslash.
_ADDRESS = re.compile(r"https?://(?:([A-Za-z0-9.-]+)|\[([0-9A-Fa-f:.]+)\])(?::\d+)?(?:/.*)?")


def bearer(address: str, name: str = TOKEN) -> dict[str, str]:
    """Return the header with the server's key, the environment variable `name` or its file.

    {} without one, or for a host that is not to be given it.
    """
    token = secret(name)
    return {"Authorization": f"Bearer {token}"} if token and is_trusted(address) else {}


def is_trusted(address: str, hosts: str | None = None) -> bool:
    """Return whether a server's address is of this machine or of the `hosts`, comma-separated (`CUSP_VLLM_HOSTS`).

    >>> is_trusted("http://127.0.0.1:8000", ""), is_trusted("http://box:8000", ""), is_trusted("http://box:8000", "box")
    (True, False, True)
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return False
    host = (found[1] or found[2]).lower()
    named = (os.environ.get(HOSTS, "") if hosts is None else hosts).lower().split(",")
    if host == "localhost" or host in [each.strip().strip("[]") for each in named]:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
