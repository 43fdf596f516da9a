"""The plain HTTP side of signing in and out: the routes that set and clear the session cookie."""

import asyncio
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from auth import cookies
from auth.paths import SIGN_IN_PATH, SIGN_OUT_PATH
from backend.accounts import devices, sessions, tickets
from backend.core.database import get_database
from backend.core.errors import NotAuthenticated, PortalError
from backend.core.log import get_logger

log = get_logger(__name__)

#: Both are posted forms of three short fields; anything larger is not ours.
MAX_FIELDS = 8
MAX_PART = 4_096
MAX_BODY = 16_384
BODY_SECONDS = 10


async def sign_in(request: Request) -> Response:
    """Trade the posted one-time ticket for a session cookie; back to the page that was asked for.

    A refused ticket also goes back to the page, which then shows the form again.
    """
    form = await _own_form(request)
    if isinstance(form, Response):
        return form
    target = local_path(str(form.get("next", "")))
    try:
        raw, device = await run_in_threadpool(_redeem, request, str(form.get("ticket", "")))
    except NotAuthenticated:
        log.info("A sign-in ticket was refused.")
        return _go(target)
    except PortalError as exc:
        return _failed(exc)
    response = _go(target)
    https = request.url.scheme == "https"
    cookies.set_session(response, raw, https=https)
    cookies.set_device(response, device, https=https)
    response.delete_cookie(cookies.NEXT, path="/")
    return response


async def sign_out(request: Request) -> Response:
    """End the session of the posted cookie on the server, and clear the cookie."""
    form = await _own_form(request)
    if isinstance(form, Response):
        return form
    raw = request.cookies.get(cookies.session_name(), "")
    try:
        await run_in_threadpool(_end, raw)
    except PortalError as exc:
        return _failed(exc)
    response = _go("/")
    cookies.clear_session(response)
    cookies.clear_provider(response, request)
    return response


def local_path(target: str) -> str:
    """`target` when it is a path of this portal, else "/": no redirect ever leaves it.

    Browsers read a backslash as a slash and drop control characters, so both are refused.
    """
    if not target.startswith("/") or not target.isprintable() or "\\" in target:
        return "/"
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or target.startswith("//") or len(target) > 2_000:
        return "/"
    if parts.path.startswith(("/auth/", "/api/")):
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")


async def _own_form(request: Request) -> FormData | Response:
    """The posted form; a refusal when another site posted it (login CSRF) or it is too large."""
    origin = request.headers.get("origin", "")
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none") or (
        origin and urlsplit(origin).netloc != request.headers.get("host", "")
    ):
        return Response("This form was sent by another site.", 403, media_type="text/plain")
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > MAX_BODY:
        return Response("This is not the portal's form.", 413, media_type="text/plain")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_PART)
    except TimeoutError:
        return Response("The form did not come in time.", 408, media_type="text/plain")


def _redeem(request: Request, ticket: str) -> tuple[str, str]:
    """The raw session token, and what tells this browser apart at its next sign-in."""
    with get_database().write() as session:
        raw = tickets.redeem(
            session,
            ticket,
            browser=request.cookies.get(cookies.browser_name(), ""),
            address=request.client.host if request.client else "",
            user_agent=request.headers.get("user-agent", ""),
        )
        found = sessions.actor_for(session, raw)
        return raw, devices.issue(session, account_id=found.actor.id) if found else ""


def _end(raw: str) -> None:
    with get_database().write() as session:
        sessions.sign_out(session, raw)


def _failed(exc: PortalError) -> Response:
    log.error("A sign-in route failed.", error=exc.message, cause=str(exc.__cause__ or ""))
    return Response(exc.message, status_code=exc.status, media_type="text/plain")


def _go(path: str) -> Response:
    return RedirectResponse(path, status_code=303, headers={"cache-control": "no-store"})


routes: list[Route] = [
    Route(SIGN_IN_PATH, sign_in, methods=["POST"]),
    Route(SIGN_OUT_PATH, sign_out, methods=["POST"]),
]
