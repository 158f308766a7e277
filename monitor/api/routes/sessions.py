"""Logging in and out: a browser's session for a token, and its end."""

from typing import Annotated
from urllib.parse import parse_qs, unquote

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from monitor.api.dependencies import ServiceDep
from monitor.api.middleware.authentication import LONGEST_WAY_BACK, is_secure, sessions_of, way_back
from monitor.auth import grants
from monitor.auth.sessions import LIFE_S, cookies_named
from monitor.errors import Conflict
from monitor.services import Service
from webui import pages
from webui.address import at, cookie_path

router = APIRouter(include_in_schema=False)


@router.get(grants.LOGIN_PATH, response_class=HTMLResponse)
def login_page(
    service: ServiceDep, request: Request, wanted: Annotated[str, Query(alias="next")] = ""
) -> Response:
    """Ask for the token, or lead on who needs none."""
    wanted = local(wanted)
    found = sessions_of(request, service.tokens)
    if service.tokens.is_open or any(map(service.tokens.of_session, found)):
        return RedirectResponse(at(wanted), 303)
    return HTMLResponse(pages.login_page(wanted=wanted))


@router.post(grants.LOGIN_PATH)
async def log_in(service: ServiceDep, request: Request) -> Response:
    """Give the browser its session for the right token, and the page that it asked for."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    token = form.get("token", [""])[0].strip()
    wanted = local(form["next"][0] if "next" in form else _remembered(service, request))
    sessions = service.tokens.sessions
    if sessions is None:
        return RedirectResponse(at(wanted), 303)
    session = await to_thread.run_sync(service.tokens.session_for, token)
    if session is None:
        return HTMLResponse(
            pages.login_page("This monitor knows no such token.", wanted=wanted), 403
        )
    answer = RedirectResponse(at(wanted), 303)
    name = sessions.cookie_name(secure=is_secure(request))
    answer.set_cookie(
        name,
        session,
        path=cookie_path(),
        httponly=True,
        samesite="strict",
        secure=is_secure(request),
        max_age=LIFE_S,
    )
    answer.delete_cookie(way_back(name), path=cookie_path(), secure=is_secure(request))
    return answer


@router.post(grants.LOGOUT_PATH)
def log_out(service: ServiceDep, request: Request) -> Response:
    """End the browser's session, for every copy of its cookie, and take the cookie away."""
    sessions = service.tokens.sessions
    if sessions is None:
        raise Conflict("this monitor has no token, so nobody logs in or out")
    for session in sessions_of(request, service.tokens):
        service.tokens.end(session)
    answer = RedirectResponse(at(grants.LOGIN_PATH), 303)
    name = sessions.cookie_name(secure=is_secure(request))
    answer.delete_cookie(name, path=cookie_path(), secure=is_secure(request))
    return answer


def local(wanted: str) -> str:
    """Return a path of this monitor to go to, `/` for whatever could lead elsewhere.

    Browsers read a backslash as a slash, and leave tabs and line ends out.

    >>> local("/runs/01J?q=1#h"), local("//evil.example"), local("https://evil.example")
    ('/runs/01J?q=1#h', '/', '/')
    >>> local("/\\t/evil.example"), local("/\\\\evil.example")
    ('/', '/')
    """
    safe = wanted.isascii() and wanted.isprintable() and "\\" not in wanted and " " not in wanted
    if not safe or len(wanted) > LONGEST_WAY_BACK or not wanted.startswith("/"):
        return "/"
    return "/" if wanted.startswith("//") else wanted


def _remembered(service: Service, request: Request) -> str:
    """Return the page that this browser asked for before it was sent to the log-in, or nothing."""
    sessions = service.tokens.sessions
    if sessions is None:
        return ""
    name = way_back(sessions.cookie_name(secure=is_secure(request)))
    found = cookies_named(request.headers.get("cookie", ""), name)
    return unquote(found[0]) if found else ""
