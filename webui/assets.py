"""Static files of the pages: our style sheets and modules; plotly.js and Swagger UI from installed packages."""

import gzip
import hashlib
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from cusp.process.installed import pip_install

_OURS = files("webui").joinpath("static")
PLOTLY = f"plotly-{version('plotly')}.js"
_SWAGGER_VERSION = version("fastapi-offline")  # of the package that carries Swagger UI's two files
SWAGGER = f"swagger-ui-{_SWAGGER_VERSION}.js"
SWAGGER_STYLE = f"swagger-ui-{_SWAGGER_VERSION}.css"

_IMPORTED = re.compile(r'''\b(?:from|import)\s*\(?\s*"(\.{1,2}/[^"]+)"''')

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""No script and no style but our files. plotly.js finds its rules in plotly.css and so writes no style
element; it writes a style attribute only for tags in a text (`<b>`), and our figures have none. What it
sets through the style object of an element is no inline style. Its picture export goes through data: and
blob: images."""


class UnknownAsset(KeyError):
    """There is no such file under /static."""


class Asset(NamedTuple):
    """Bytes to send (gzipped if `headers` says so), media type and strong ETag."""

    body: bytes
    content_type: str
    etag: str


def asset(name: str) -> Asset:
    """Return the file served as /static/NAME; UnknownAsset for any other name."""
    if name not in names():
        raise UnknownAsset(f"there is no asset {name!r}; known are {', '.join(sorted(names()))}")
    return _read(name)


def headers(name: str) -> dict[str, str]:
    """Return the response headers of an asset: a package's is immutable, ours are revalidated."""
    found = asset(name)
    if name in _PACKED:
        extra = {"Cache-Control": "public, max-age=31536000, immutable", "Content-Encoding": "gzip"}
    else:
        extra = {"Cache-Control": "no-cache"}
    return {"Content-Type": found.content_type, "ETag": found.etag, **extra}


@cache
def names() -> frozenset[str]:
    """Return all names under /static: our files, plotly.js and Swagger UI."""
    return frozenset({*_PACKED, *(n for n in _below(_OURS) if _suffix(n) in CONTENT_TYPES)})


def _below(folder: Traversable, prefix: str = "") -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _below(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name


@cache
def modules(name: str) -> tuple[str, ...]:
    """Return the names of all modules that a module of ours imports, at once or later, and those import."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop(0)
        text = _OURS.joinpath(*one.split("/")).read_text(encoding="utf-8")
        for path in _IMPORTED.findall(text):
            imported = posixpath.normpath(posixpath.join(posixpath.dirname(one), path))
            if imported not in found:
                found[imported] = None
                waiting.append(imported)
    return tuple(found)


@cache
def _read(name: str) -> Asset:
    body = _packed(name) if name in _PACKED else _OURS.joinpath(*name.split("/")).read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:20]
    return Asset(body, CONTENT_TYPES[_suffix(name)], f'"{digest}"')


def _packed(name: str) -> bytes:
    # Gzipped once (plotly.js: 4.8 MB -> 1.5 MB); mtime 0 makes the ETag equal in all processes.
    return gzip.compress(_PACKED[name](), compresslevel=6, mtime=0)


def _swagger(name: str) -> bytes:
    """Return a file of Swagger UI, without importing the package that carries it."""
    found = find_spec("fastapi_offline")
    if found is None or not found.submodule_search_locations:
        raise UnknownAsset(f"fastapi-offline is not installed; `{pip_install('monitor')}` does it")
    return Path(found.submodule_search_locations[0], "static", name).read_bytes()


def plotly_source() -> str:
    """Return plotly.js, to be written into a page that stands alone."""
    return _plotly_bytes().decode()


def _plotly_bytes() -> bytes:
    return files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()


_PACKED: Mapping[str, Callable[[], bytes]] = {
    PLOTLY: _plotly_bytes,
    SWAGGER: lambda: _swagger("swagger-ui-bundle.js"),
    SWAGGER_STYLE: lambda: _swagger("swagger-ui.css"),
}
"""Files of installed packages; their names hold the version, so a browser may keep them for ever."""


@cache
def map_style_ids() -> tuple[str, ...]:
    """Return the ids of the style elements that plotly.js adds for maps unless they exist."""
    found = re.findall(r'getElementById\("([0-9a-f]{64})"\)', _plotly_bytes().decode())
    return tuple(sorted(set(found)))


def _suffix(name: str) -> str:
    return "." + name.rpartition(".")[2]
