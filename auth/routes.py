"""The plain HTTP side of signing in and out: the routes that set and clear the session cookie."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from auth import cookies, forms, oidc
from auth.paths import SIGN_IN_PATH, SIGN_OUT_PATH
from backend.accounts import devices, provider_sessions, sessions, tickets
from backend.core.database import get_database
from backend.core.errors import NotAuthenticated, PortalError
from backend.core.log import get_logger

log = get_logger(__name__)


async def sign_in(request: Request) -> Response:
    """Trade the posted one-time ticket for a session cookie; back to the page that was asked for.

    A refused ticket also goes back to the page, which then shows the form again.
    """
    form = await forms.own_form(request)
    if isinstance(form, Response):
        return form
    target = forms.local_path(str(form.get("next", "")))
    try:
        raw, device = await run_in_threadpool(_redeem, request, str(form.get("ticket", "")))
    except NotAuthenticated:
        log.info("A sign-in ticket was refused.")
        return forms.go(target)
    except PortalError as exc:
        return _failed(exc)
    response = forms.go(target)
    https = request.url.scheme == "https"
    cookies.set_session(response, raw, https=https)
    cookies.set_device(response, device, https=https)
    return response


async def sign_out(request: Request) -> Response:
    """End the session of the posted cookie on the server, and clear the cookie."""
    form = await forms.own_form(request)
    if isinstance(form, Response):
        return form
    raw = request.cookies.get(cookies.session_name(), "")
    try:
        known = await run_in_threadpool(_end, raw)
    except PortalError as exc:
        return _failed(exc)
    response = await oidc.signed_out(known)
    cookies.clear_session(response)
    cookies.clear_provider(response, request)
    return response


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


def _end(raw: str) -> tuple[str, str] | None:
    """Provider and id token of the session that ends; None for one with a password."""
    with get_database().write() as session:
        known = provider_sessions.hint(session, raw)
        sessions.sign_out(session, raw)
    return known


def _failed(exc: PortalError) -> Response:
    log.error("A sign-in route failed.", error=exc.message, cause=str(exc.__cause__ or ""))
    return Response(exc.message, status_code=exc.status, media_type="text/plain")


routes: list[Route] = [
    Route(SIGN_IN_PATH, sign_in, methods=["POST"]),
    Route(SIGN_OUT_PATH, sign_out, methods=["POST"]),
    *oidc.routes,
]
