"""The portal's cookies: the session, and a nonce that tells browsers apart before sign-in."""

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import Response

from backend.accounts.sessions import ABSOLUTE_TIMEOUT
from backend.core.settings import get_settings

_SESSION = "portal_session"
_BROWSER = "portal_browser"
_DEVICE = "portal_device"
_DEVICE_SECONDS = 180 * 86_400
#: Streamlit's own cookies of `st.login`, with their numbered parts: an older portal left them.
_PROVIDER = "_streamlit_user"


def of(headers: Headers) -> dict[str, str]:
    """The cookies of a request as its page and routes read them: with the standard library's parser
    another program's odd cookie on this host would take ours along."""
    return cookie_parser(headers.get("cookie", ""))


def session_name() -> str:
    """`__Host-` (https only: no sub-domain can plant the cookie) when the portal is on https."""
    return _prefix() + _SESSION


def device_name() -> str:
    return _prefix() + _DEVICE


def set_device(response: Response, value: str, *, https: bool = False) -> None:
    """The cookie of a browser that has signed in before; see backend.accounts.devices."""
    response.set_cookie(
        device_name(),
        value,
        max_age=_DEVICE_SECONDS,
        path="/",
        httponly=True,
        samesite="strict",
        secure=https or get_settings().secure_cookies,
    )


def browser_name() -> str:
    return _prefix() + _BROWSER


def _prefix() -> str:
    return "__Host-" if get_settings().secure_cookies else ""


def set_session(response: Response, raw: str, *, https: bool = False) -> None:
    """HttpOnly, SameSite=Strict, Path=/.

    Strict is no hindrance to links from other sites: Streamlit reads the cookie from the
    websocket that the portal's own page opens.
    """
    response.set_cookie(
        session_name(),
        raw,
        max_age=int(ABSOLUTE_TIMEOUT.total_seconds()),
        path="/",
        httponly=True,
        samesite="strict",
        secure=https or get_settings().secure_cookies,
    )


def clear_session(response: Response) -> None:
    response.delete_cookie(
        session_name(),
        path="/",
        httponly=True,
        samesite="strict",
        secure=get_settings().secure_cookies,
    )


def browser_cookie(value: str, *, https: bool = False) -> str:
    """The Set-Cookie value of the nonce; it ends with the browser."""
    response = Response()
    response.set_cookie(
        browser_name(),
        value,
        path="/",
        httponly=True,
        samesite="lax",
        secure=https or get_settings().secure_cookies,
    )
    return response.headers["set-cookie"]


def clear_provider(response: Response, request: Request) -> None:
    """Take away the tokens of an identity provider that a portal before 0.3 put there."""
    for name in request.cookies:
        if name.startswith(_PROVIDER):
            response.delete_cookie(name, path="/", httponly=True, samesite="lax")
