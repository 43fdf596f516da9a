"""Sign-in with an identity provider, on the portal's own routes; backend/accounts keeps its state.

The browser posts where it is, goes to the provider, and comes back with a code; what the provider
then tells the portal never reaches the browser, which gets the session cookie and nothing else.
"""

import asyncio
import html
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from auth import cookies, current, forms, ticket_form
from auth.paths import CALLBACK_PATH, PROVIDER_LOGOUT_PATH, PROVIDER_PATH
from backend.accounts import provider_flows, provider_sessions, provider_trips, providers
from backend.accounts.provider_flows import Flow
from backend.core import forwarded
from backend.core.buckets import Buckets
from backend.core.database import get_database
from backend.core.errors import NotAuthenticated, NotFound, NotPermitted, PortalError
from backend.core.log import get_logger

log = get_logger(__name__)

#: The sign-in page asks instead of going to the provider at once.
CHOOSE = "choose"
#: The sign-in page says why there was no trip: a word, for anybody can make up any number of those.
REFUSED = "refused"
_ERROR = "auth.oidc.error"
_MAX_ADDRESS = 6_000
#: Trips that begin at one address; an office comes in the morning.
_TRIPS = Buckets(at_once=100, per_minute=60)
_WHY = {
    "answer": provider_flows.NO_TRIP,
    "cookie": provider_flows.NO_COOKIE,
    "provider": providers.UNKNOWN,
    "crowd": "Too many sign-ins began at this address. Wait a minute, then try again.",
}


def page() -> bool:
    """Draw the providers' part of the sign-in page; True when the browser is on its way to one."""
    loaded = providers.load()
    configured, error = loaded.providers, show_error()
    if loaded.problems:
        st.warning(
            "Single sign-on is not configured as it should be. An admin runs doctor on the server.",
            icon=":material/warning:",
        )
    automatic = [provider for provider in configured if provider.auto_login]
    if len(automatic) == 1 and not error and not {CHOOSE, "emergency"} & {*st.query_params}:
        ticket_form.post(PROVIDER_PATH, {"provider": automatic[0].name, "next": ""})
        return True
    for provider in configured:
        if st.button(
            f"Sign in with {provider.title}",
            key=f"auth.oidc.{provider.name}",
            icon=provider.icon,
            width="stretch",
        ):
            st.session_state.pop(_ERROR, None)
            ticket_form.post(PROVIDER_PATH, {"provider": provider.name, "next": ""})
            return True
    return False


def ask_again(provider: str) -> None:
    """Send the browser to the provider, which asks the person again; it comes back to this page."""
    ticket_form.post(PROVIDER_PATH, {"provider": provider, "fresh": "1", "next": ""})


def show_error() -> bool:
    """Draw the sentence of this browser's last refused try, and say whether there is one."""
    error = last_error()
    if error:
        st.error(html_free(error), icon=":material/error:")
    return bool(error)


def html_free(text: str) -> str:
    """The sentence as text: names from outside may hold Markdown."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-!|~$:" else c for c in text)


async def start(request: Request) -> Response:
    """Send the browser to a provider, and keep what its answer is checked with."""
    form = await forms.own_form(request)
    if isinstance(form, Response):
        return form
    name = str(form.get("provider", ""))[:150]
    next_path, fresh = forms.local_path(str(form.get("next", ""))), bool(form.get("fresh"))
    if _TRIPS.take(forwarded.network(_address(request))):
        return _because("crowd", next_path)
    if not _browser(request):
        return await _turned_away(request, name, "cookie", next_path)
    try:
        provider = providers.load().get(name)
    except NotFound:
        return await _turned_away(request, name, "provider", next_path)
    try:
        started = await provider_trips.begin(provider, fresh=fresh)
        await run_in_threadpool(_remember, request, name, started, next_path, fresh)
    except PortalError as exc:
        return await _refused(request, name, exc.message, back=next_path)
    response = _leave(started.url, f"To {provider.title}")
    cookies.clear_provider(response, request)
    return response


async def callback(request: Request) -> Response:
    """The provider's answer: a session and back to the page asked for, or one sentence why not."""
    query = request.query_params
    try:
        flow = await run_in_threadpool(_take, request, query.get("state", ""))
    except NotAuthenticated:
        return await _turned_away(request, "", "answer", "/")
    try:
        provider = providers.load().get(flow.provider)
        answer = await provider_trips.finish(provider, flow, query)
        raw = await run_in_threadpool(_take_in, request, provider, answer, flow)
    except PortalError as exc:
        return await _refused(request, flow.provider, exc.message, back=flow.next_path)
    response = forms.go(flow.next_path)
    if raw:
        cookies.set_session(response, raw, https=request.url.scheme == "https")
    cookies.clear_provider(response, request)
    return response


async def provider_logout(request: Request) -> Response:
    """Back-channel logout: the provider posts a signed token that names what ends."""
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > forms.MAX_BODY:
        return JSONResponse({"error": "invalid_request"}, 413)
    try:
        async with asyncio.timeout(forms.BODY_SECONDS):
            form = await request.form(max_files=0, max_fields=4, max_part_size=forms.MAX_BODY)
    except TimeoutError:
        return JSONResponse({"error": "invalid_request"}, 408)
    try:
        provider = providers.load().get(request.path_params["name"].removeprefix("-"))
        claims = await provider_trips.logout_claims(provider, str(form.get("logout_token", "")))
        ended = await run_in_threadpool(_end_named, claims)
    except PortalError as exc:
        log.warning("A logout by an identity provider was refused.", reason=exc.message)
        return JSONResponse({"error": "invalid_request", "error_description": exc.message}, 400)
    log.info("An identity provider ended sessions.", sessions=ended)
    return Response(status_code=200)


async def signed_out(known: tuple[str, str] | None) -> Response:
    """Where sign-out goes: over the provider of the session that ended, else to the form."""
    if known is not None:
        name, id_token = known
        try:
            provider = providers.load().get(name)
            url = await provider_trips.logout_url(provider, id_token)
        except PortalError as exc:
            log.warning("The provider's session was not ended.", reason=exc.message)
        else:
            if url and len(url) <= _MAX_ADDRESS:
                return _leave(url, f"Signing out of {provider.title}")
    automatic = any(provider.auto_login for provider in providers.load().providers)
    return forms.go(f"/?{CHOOSE}=1" if automatic else "/")


def _leave(url: str, title: str) -> Response:
    """A page that goes to another site. A redirect would be stopped by form-action 'self'."""
    if urlsplit(url).scheme not in ("http", "https"):
        return Response("The identity provider named no web address.", 502, media_type="text/plain")
    to = html.escape(url)
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}'
        f'</title><meta http-equiv="refresh" content="0;url={to}"></head>'
        f'<body><p><a href="{to}">{html.escape(title)}</a> …</p></body></html>',
        headers={"cache-control": "no-store"},
    )


async def _refused(request: Request, provider: str, error: str, *, back: str) -> Response:
    """Why a trip came to nothing: a sentence for its browser's next page."""
    await run_in_threadpool(_write_down, request, provider, error, _browser(request))
    return forms.go(back)


async def _turned_away(request: Request, provider: str, why: str, back: str) -> Response:
    """Why there is no trip: the next page's address says it. Nothing is kept for this browser."""
    await run_in_threadpool(_write_down, request, provider, _WHY[why], "")
    return _because(why, back)


def _because(why: str, back: str) -> Response:
    return forms.go(f"{back}{'&' if '?' in back else '?'}{REFUSED}={why}")


def _write_down(request: Request, provider: str, error: str, browser: str) -> None:
    get_database().change(
        provider_flows.refuse,
        provider=provider,
        browser=browser,
        address=_address(request),
        error=error,
    )


def _remember(request: Request, name: str, started: Any, next_path: str, fresh: bool) -> None:
    raw = request.cookies.get(cookies.session_name(), "")
    with get_database().write() as session:
        provider_flows.remember(
            session,
            provider=name,
            started=started,
            browser=_browser(request),
            next_path=next_path,
            session_id=provider_sessions.asking(session, raw) if fresh else None,
        )


def _take(request: Request, state: str) -> Flow:
    return get_database().change(provider_flows.take, state=state, browser=_browser(request))


def _take_in(request: Request, provider: providers.Provider, answer: Any, flow: Flow) -> str:
    """The raw token of a new session; "" after a step-up, whose session goes on."""
    with get_database().write() as session:
        if flow.session_id is None:
            return provider_sessions.open_session(
                session,
                provider=provider,
                answer=answer,
                address=_address(request),
                user_agent=request.headers.get("user-agent", ""),
            )
        goes_on = provider_sessions.confirm(session, provider=provider, answer=answer, flow=flow)
    if not goes_on:
        raise NotPermitted("You have no role in this portal any more. Ask an admin.")
    return ""


def _end_named(claims: dict[str, Any]) -> int:
    return get_database().change(
        provider_sessions.end_named, issuer=str(claims["iss"]), claims=claims
    )


def last_error() -> str:
    """Why this browser's last try came to nothing, "" when it did not; asked once per load of a
    page, and every try loads one."""
    why = st.query_params.pop(REFUSED, "")
    if why in _WHY:
        st.session_state[_ERROR] = _WHY[why]
    browser = current.browser_nonce()
    if _ERROR not in st.session_state and browser:
        st.session_state[_ERROR] = provider_flows.take_error(get_database(), browser=browser)
    return str(st.session_state.get(_ERROR, ""))


def _browser(request: Request) -> str:
    return request.cookies.get(cookies.browser_name(), "")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


routes = [
    Route(PROVIDER_PATH, start, methods=["POST"]),
    Route(CALLBACK_PATH, callback, methods=["GET"]),
    Route(PROVIDER_LOGOUT_PATH, provider_logout, methods=["POST"]),
]
