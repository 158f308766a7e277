"""ASGI middleware: who may pass and how often; sets the security headers on every answer."""

import math

from anyio import to_thread
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor import auth, origin
from monitor.problems import problem
from monitor.rate import Buckets, network_of
from monitor.store.database import Unavailable
from monitor.tokens import Tokens
from webui import static

HEADERS = {
    "Content-Security-Policy": static.CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
BURST_S = 5.0  # what a token may ask at once is the rate of so many seconds
STRANGERS_PER_S, STRANGERS_BURST = 20.0, 200.0
_NEEDED = "a token is needed: send `Authorization: Bearer TOKEN`, or log in at /login"


class Guard:
    """Lets a request pass that may, with its grant in `request.state.grant`; answers the others.

    `rate_per_s` is how often one token may ask from one address, 0 for as often as it likes. Without
    CUSP_TOKEN nobody is limited: only this machine can ask then. Whoever has no right token is held back
    by address, before the database is asked about what he brings.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens, rate_per_s: float) -> None:
        self._app = app
        self._tokens = tokens
        self._rates = Buckets(rate_per_s, BURST_S * rate_per_s) if rate_per_s else None
        self._strangers = Buckets(STRANGERS_PER_S, STRANGERS_BURST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        origin.ADDRESS.set(_address(request))
        refusal = await self._refusal(request)

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
            page = request.headers.get("origin")
            return problem(403, "Not allowed", f"a page of {page} may not act on this monitor")
        asker = network_of(_address(request))
        if auth.is_open(request.url.path):
            tries = request.url.path == auth.LOGIN_PATH and request.method == "POST"
            return _hurried(self._strangers.take(asker)) if tries else None
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        cookie = request.cookies.get(auth.COOKIE, "")
        if not self._tokens.remembers(bearer, cookie) and self._strangers.wait_s(asker):
            return _hurried(self._strangers.wait_s(asker))
        try:
            grant = await self._grant(bearer, cookie)
        except Unavailable:
            return problem(503, "Not ready", "the database does not answer; try again")
        request.state.grant = grant
        if grant is None:
            self._strangers.take(asker)
            return _refused(request)
        if self._rates is None or (self._tokens.is_open and grant.token_id is None):
            return None
        return _hurried(self._rates.take(f"{grant.token_id} {asker}"))

    async def _grant(self, bearer: str, cookie: str) -> auth.Grant | None:
        """Return the grant, from a thread where the database may have to be asked."""
        if auth.split(bearer) or auth.session_id(cookie):
            return await to_thread.run_sync(self._tokens.grant, bearer, cookie)
        return self._tokens.grant(bearer, cookie)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _hurried(wait_s: float) -> Response | None:
    if not wait_s:
        return None
    seconds = math.ceil(wait_s)
    answer = problem(429, "Too many requests", f"ask again in {seconds} s; nothing was changed")
    answer.headers["Retry-After"] = str(seconds)
    return answer


def _refused(request: Request) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/login", 303)
    return problem(401, "Not allowed", _NEEDED)
