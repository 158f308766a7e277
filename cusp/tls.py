"""TLS trust of our HTTP clients: the public authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR.

Our clients take no proxy or password from the environment, so that a token goes to CUSP_URL only;
certificates of a private authority are the one exception.
"""

import os
import ssl
from collections.abc import Iterator, Mapping

import httpx

from cusp.errors import CuspError

WRONG_NAME = 62  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH, and next to it the one for addresses
WRONG_ADDRESS = 64


class CertificatesUnreadable(CuspError, ValueError):
    """SSL_CERT_FILE or SSL_CERT_DIR is unusable; the message says which and why."""


def context(url: str, environment: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """Return the SSL context for requests to `url`; CertificatesUnreadable for an unusable setting.

    For http it trusts nobody: loading certificates takes time, and none will be shown.
    """
    if not url.startswith("https:"):
        return nobody()
    file, folder = environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR")
    if not file and not folder:
        return httpx.create_ssl_context(trust_env=False)
    if folder and not os.path.isdir(folder):
        raise CertificatesUnreadable(
            f"SSL_CERT_DIR is {folder!r}, which is no folder; name one with the certificates of your"
            " authority (`openssl rehash` gives them their names), or unset it"
        )
    try:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise CertificatesUnreadable(
            f"SSL_CERT_FILE is {file!r}, which cannot be used ({error}); name a PEM file with the"
            " certificates of your authority, or unset it"
        ) from error


def nobody() -> ssl.SSLContext:
    """Return a context that trusts no certificate at all."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def complaint(error: BaseException, url: str) -> str | None:
    """Return a sentence on the certificate error at `url` and the way out; None for any other error."""
    for one in _causes(error):
        if not isinstance(one, ssl.SSLCertVerificationError):
            continue
        why = one.verify_message.rstrip(".")
        if one.verify_code in (WRONG_NAME, WRONG_ADDRESS):
            return f"the certificate of {url} is for another name ({why}); use the one that it was made for"
        return (
            f"the certificate of {url} is not trusted ({why}); if it is from an authority of your own,"
            " name its PEM file in SSL_CERT_FILE"
        )
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
