"""ASGI middleware: asks for a token and sets the security headers on every answer."""

from anyio import to_thread
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor import auth
from monitor.problems import problem
from monitor.store.database import Unavailable
from monitor.tokens import Tokens

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline';"
        " frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_NEEDED = "a token is needed: send `Authorization: Bearer TOKEN`, or log in at /login"


class Guard:
    """Lets a request pass that may, with its grant in `request.state.grant`; answers the others."""

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = await self._refusal(Request(scope))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    async def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if self._tokens.is_open and auth.is_strange_host(host):
            detail = (
                f"without a token this monitor answers as 127.0.0.1 or localhost, not as {host!r}"
            )
            return problem(403, "Not allowed", detail)
        if auth.is_foreign(request.method, request.headers):
            origin = request.headers.get("origin")
            return problem(403, "Not allowed", f"a page of {origin} may not act on this monitor")
        if auth.is_open(request.url.path):
            return None
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        cookie = request.cookies.get(auth.COOKIE, "")
        try:
            grant = await self._grant(bearer, cookie)
        except Unavailable:
            return problem(503, "Not ready", "the database does not answer; try again")
        request.state.grant = grant
        return None if grant else _refused(request)

    async def _grant(self, bearer: str, cookie: str) -> auth.Grant | None:
        """Return the grant, from a thread where the database may have to be asked."""
        if auth.split(bearer) or auth.session_id(cookie):
            return await to_thread.run_sync(self._tokens.grant, bearer, cookie)
        return self._tokens.grant(bearer, cookie)


def _refused(request: Request) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/login", 303)
    return problem(401, "Not allowed", _NEEDED)
