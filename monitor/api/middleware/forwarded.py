"""ASGI middleware: what a trusted proxy says of the request, and the prefix that it puts before our paths.

The rest of the monitor sees paths without the prefix, whether the proxy strips it or not, and writes
addresses with it (webui/address.py).
"""

from urllib.parse import quote

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from monitor.api.problem_details import problem
from monitor.path_prefix import BadPrefix, prefix_of, without
from webui.address import PREFIX


class ForwardedMiddleware(ProxyHeadersMiddleware):
    """uvicorn's X-Forwarded-For and -Proto, and beside them -Prefix and -Host, from trusted proxies.

    `prefix` is what the monitor was started with; X-Forwarded-Prefix wins over it.
    """

    def __init__(self, app: ASGIApp, trusted_hosts: str, prefix: str) -> None:
        super().__init__(app, trusted_hosts)  # type: ignore[arg-type]  # its own words for ASGI
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        """Pass the request on as the proxy got it; 400 for a prefix that cannot be one."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)  # type: ignore[arg-type]
            return
        said = self._said(scope)
        try:
            prefix = prefix_of(said.get("prefix", self._prefix))
        except BadPrefix as error:
            refusal = problem(400, "Bad request", f"X-Forwarded-Prefix: {error}")
            await refusal(scope, receive, send)
            return
        PREFIX.set(prefix)
        path = without(prefix, scope["path"])
        state = {**scope.get("state", {}), "forwarded_host": said.get("host", "")}
        scope = {**scope, "path": path, "root_path": "", "state": state}
        if path != "/" and path.endswith("/") and scope["method"] in ("GET", "HEAD"):
            await RedirectResponse(_tidy(prefix, scope), 307)(scope, receive, send)
            return
        await super().__call__(scope, receive, send)  # type: ignore[arg-type]

    def _said(self, scope: Scope) -> dict[str, str]:
        """Return what a trusted proxy says in X-Forwarded-Prefix and -Host, the first of several."""
        client = scope.get("client")
        if (client[0] if client else None) not in self.trusted_hosts:
            return {}
        found: dict[str, str] = {}
        for name, value in scope["headers"]:
            if name in (b"x-forwarded-prefix", b"x-forwarded-host"):
                first = value.decode("latin-1").partition(",")[0].strip()
                found.setdefault(name.decode().removeprefix("x-forwarded-"), first)
        return found


def _tidy(prefix: str, scope: Scope) -> str:
    """Return the address without slashes at its end; never one of another host, as `//host/` would be."""
    path = quote("/" + scope["path"].strip("/"), safe="/-._~:@!$&'()*+,;=")
    query = scope["query_string"].decode("latin-1")
    return prefix + path + (f"?{query}" if query else "")
