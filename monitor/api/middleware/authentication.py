"""ASGI middleware: who may pass and how often; sets the security headers on every answer."""

import math
from urllib.parse import quote

from anyio import to_thread
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.api.problem_details import problem
from monitor.auth import cross_site, grants
from monitor.auth.rate_limit import Buckets, network_of
from monitor.auth.sessions import Session, cookies_named
from monitor.auth.tokens import Tokens
from monitor.database.engine import Unavailable
from monitor.store.access import audit
from webui import assets
from webui.address import SESSION, at, cookie_path

HEADERS = {
    "Content-Security-Policy": assets.CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # no-referrer would make our own forms' Origin "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
BURST_S = 5.0  # what a token may ask at once is the rate of so many seconds
STRANGERS_PER_S, STRANGERS_BURST = 20.0, 200.0
LONGEST_WAY_BACK = 2_000
_NEEDED = "a token is needed: send `Authorization: Bearer TOKEN`, or log in at /login"


class AuthenticationMiddleware:
    """Lets a request pass that may, with its grant in `request.state.grant`; answers the others.

    `rate_per_s` is how often one token may ask from one address, 0 for as often as it likes. Without
    CUSP_TOKEN nobody is limited: only this machine can ask then. Whoever has no right token is held back
    by address, before the database is asked about what he brings.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens, rate_per_s: float) -> None:
        self._app = app
        self._tokens = tokens
        self._rates = Buckets(rate_per_s, BURST_S * rate_per_s) if rate_per_s else None
        self._anonymous = Buckets(STRANGERS_PER_S, STRANGERS_BURST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        audit.ADDRESS.set(_address(request))
        refusal = await self._refusal(request)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    async def _refusal(self, request: Request) -> Response | None:
        refusal = self._of_another_site(request)
        if refusal is not None:
            return refusal
        asker = network_of(_address(request))
        if grants.is_open(request.scope["path"]):
            safe = request.method in cross_site.SAFE_METHODS
            return None if safe else _too_many_requests(self._anonymous.take(asker))
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        found = sessions_of(request, self._tokens)
        if not self._tokens.is_cached(bearer, found) and self._anonymous.wait_s(asker):
            return _too_many_requests(self._anonymous.wait_s(asker))
        try:
            grant = await self._grant(bearer, found)
        except Unavailable:
            return problem(503, "Not ready", "the database does not answer; try again")
        request.state.grant = grant
        if grant is None:
            self._anonymous.take(asker)
            return self._refused(request)
        SESSION.set(grant.session is not None)
        if self._rates is None or (self._tokens.is_open and grant.token_id is None):
            return None
        return _too_many_requests(self._rates.take(f"{grant.token_id} {asker}"))

    def _of_another_site(self, request: Request) -> Response | None:
        """Return the refusal of what a browser would not send for a page of ours."""
        host = request.headers.get("host", "")
        if not cross_site.is_readable_host(host):
            return problem(
                400, "Bad request", f"the header Host is {host[:200]!r}, which is no host"
            )
        if self._tokens.is_open and cross_site.is_untrusted_host(host):
            detail = f"without a token this monitor answers as 127.0.0.1 or localhost, not as {host[:200]!r}"
            return problem(403, "Not allowed", detail)
        forwarded = getattr(request.state, "forwarded_host", "")
        scheme = request.scope.get("scheme", "http")
        foreign = cross_site.refusal(request.method, request.headers, scheme, forwarded)
        return problem(403, "Not allowed", foreign) if foreign else None

    async def _grant(self, bearer: str, found: list[Session]) -> grants.Grant | None:
        """Return the grant, from a thread where the database may have to be asked."""
        if grants.split(bearer) or found:
            return await to_thread.run_sync(self._tokens.grant, bearer, found)
        return self._tokens.grant(bearer, found)

    def _refused(self, request: Request) -> Response:
        """Return the answer to who has no right token: the log-in for a person, which leads back."""
        page = "text/html" in request.headers.get("accept", "")
        navigates = request.headers.get("sec-fetch-mode", "navigate") == "navigate"
        sessions = self._tokens.sessions
        if not (request.method == "GET" and page and navigates and sessions):
            return problem(401, "Not allowed", _NEEDED)
        wanted = quote(request.scope["path"], safe="/-._~:@!$&'()*+,;=")
        query = request.scope["query_string"].decode("latin-1")
        wanted = f"{wanted}?{query}" if query else wanted
        if wanted == "/" or len(wanted) > LONGEST_WAY_BACK:
            return RedirectResponse(at(grants.LOGIN_PATH), 303)
        answer = RedirectResponse(f"{at(grants.LOGIN_PATH)}?next={quote(wanted, safe='/')}", 303)
        # For a log-in that was not sent by this form: the page that was asked for last.
        answer.set_cookie(
            way_back(sessions.cookie_name(secure=is_secure(request))),
            quote(wanted, safe=""),
            path=cookie_path(),
            httponly=True,
            samesite="lax",
            secure=is_secure(request),
            max_age=600,
        )
        return answer


def sessions_of(request: Request, tokens: Tokens) -> list[Session]:
    """Return the sessions that the request's cookies stand for, without those that ended by themselves.

    Whether somebody ended one, or revoked its token, `Tokens` knows.
    """
    if tokens.sessions is None:
        return []
    name = tokens.sessions.cookie_name(secure=is_secure(request))
    return tokens.sessions.read(cookies_named("; ".join(request.headers.getlist("cookie")), name))


def is_secure(request: Request) -> bool:
    """Return whether the browser asks over https, as far as a trusted proxy says."""
    return bool(request.scope.get("scheme") == "https")


def way_back(cookie_name: str) -> str:
    """Return the name of the cookie that remembers which page was asked for before the log-in."""
    return f"{cookie_name}_next"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _too_many_requests(wait_s: float) -> Response | None:
    if not wait_s:
        return None
    seconds = math.ceil(wait_s)
    answer = problem(429, "Too many requests", f"ask again in {seconds} s; nothing was changed")
    answer.headers["Retry-After"] = str(seconds)
    return answer
