"""The HTTP connection to a monitor that all clients share: address, token, certificates, no proxy."""

import ssl

import httpx

from cusp import tls


def connect(
    url: str,
    token: str | None,
    *,
    timeout: float | httpx.Timeout = 30.0,
    trusted: ssl.SSLContext | None = None,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """Return an HTTP client whose paths lie below the monitor's `/api/v1`.

    Proxies of the environment are not used: they would be given the token. `trusted` holds the authorities
    believed (default: those of `tls.context`, which raises CertificatesUnreadable); `timeout` in seconds.
    """
    return httpx.Client(
        base_url=f"{url}/api/v1",
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=timeout,
        transport=transport,
        trust_env=False,
        verify=trusted or tls.context(url),
    )
