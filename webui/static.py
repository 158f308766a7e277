"""The files a page loads: our style sheet and modules, and plotly.js from the installed package."""

import gzip
import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import NamedTuple

PLOTLY = f"plotly-{version('plotly')}.js"

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
"""No script but our files. Plotly sets style attributes, hence 'unsafe-inline' for styles only;
its picture export goes through data: and blob: images."""


class UnknownAsset(KeyError):
    """There is no such file under /static."""


class Asset(NamedTuple):
    """Bytes to send (gzipped where `headers` says so), their type and a strong ETag."""

    body: bytes
    content_type: str
    etag: str


def asset(name: str) -> Asset:
    """The file served as /static/NAME. Raises UnknownAsset for any name we do not ship."""
    if name not in names():
        raise UnknownAsset(f"there is no asset {name!r}; known are {', '.join(sorted(names()))}")
    return _read(name)


def headers(name: str) -> dict[str, str]:
    """The response headers of an asset: plotly may be kept for ever, ours are revalidated."""
    found = asset(name)
    if name == PLOTLY:
        extra = {"Cache-Control": "public, max-age=31536000, immutable", "Content-Encoding": "gzip"}
    else:
        extra = {"Cache-Control": "no-cache"}
    return {"Content-Type": found.content_type, "ETag": found.etag, **extra}


@cache
def names() -> frozenset[str]:
    """Every name under /static: the files of our folder and plotly's one bundle."""
    own = (entry.name for entry in files("webui").joinpath("static").iterdir())
    return frozenset({PLOTLY, *(n for n in own if _suffix(n) in CONTENT_TYPES)})


@cache
def _read(name: str) -> Asset:
    body = _plotly() if name == PLOTLY else files("webui").joinpath("static", name).read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:20]
    return Asset(body, CONTENT_TYPES[_suffix(name)], f'"{digest}"')


def _plotly() -> bytes:
    # Gzipped once (4.8 MB -> 1.5 MB); mtime 0 keeps the ETag equal over processes.
    source = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return gzip.compress(source, compresslevel=6, mtime=0)


def _suffix(name: str) -> str:
    return "." + name.rpartition(".")[2]
