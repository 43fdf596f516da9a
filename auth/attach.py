"""A Streamlit session is attached to again only by the person it belongs to.

After a lost connection the browser names its old session in the websocket's handshake, and
Streamlit takes whoever knows the name. Here the cookies decide too: anybody else begins a new one,
and sends no file into it.
"""

import threading
from collections import OrderedDict

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import Scope

from auth import cookies
from backend.accounts import sessions
from backend.core.database import get_database
from backend.core.log import get_logger

log = get_logger(__name__)

#: Behind it stand the session's and the file's names.
UPLOADS = "/_stcore/upload_file/"
_PROTOCOL = "sec-websocket-protocol"
#: Streamlit's list: its own name, the XSRF token, the session to attach to.
_PLACE = 2
_MOST = 20_000
_ACCOUNT = "account "
_owners: OrderedDict[str, str] = OrderedDict()
_lock = threading.Lock()


def remember(session_id: str, *, account_id: int | None, browser: str) -> None:
    """Whose Streamlit session this is from now on; called in each of its runs.

    account_id: who is signed in; None for a stranger, whose browser's nonce counts.
    """
    with _lock:
        _owners[session_id] = _owner(account_id, browser)
        _owners.move_to_end(session_id)
        if len(_owners) > _MOST:
            _owners.popitem(last=False)


def owner(session_id: str) -> str:
    """Whose Streamlit session this is, as a word to compare; "" for one that nobody knows."""
    with _lock:
        return _owners.get(session_id, "")


def uploads_to(path: str) -> str:
    """The Streamlit session that a path of the upload route is about."""
    return path.removeprefix(UPLOADS).partition("/")[0]


async def own_session_only(scope: Scope) -> Scope:
    """The handshake, without the name of a session that is not of this browser's person."""
    headers = Headers(scope=scope)
    entries = [entry.strip() for entry in headers.get(_PROTOCOL, "").split(",")]
    if len(entries) <= _PLACE or not entries[_PLACE]:
        return scope
    if await _is_own(entries[_PLACE], headers):
        return scope
    kept = entries[:_PLACE]
    raw = [(name, value) for name, value in scope["headers"] if name.lower() != _PROTOCOL.encode()]
    raw.append((_PROTOCOL.encode(), ", ".join(kept).encode("latin-1")))
    return {**scope, "headers": raw, "subprotocols": kept}


async def may_upload(scope: Scope) -> bool:
    """Whether a request to Streamlit's upload route is about a session of this browser's person."""
    session_id = uploads_to(scope["path"])
    somebodys = owner(session_id).startswith(_ACCOUNT)
    # the page of strangers takes no files, and each would be kept in memory
    return somebodys and await _is_own(session_id, Headers(scope=scope))


async def is_signed_in(headers: Headers) -> bool:
    """Whether a handshake carries the cookie of a live session."""
    if not cookies.of(headers).get(cookies.session_name()):
        return False
    return (await run_in_threadpool(_asks, headers)).startswith(_ACCOUNT)


async def _is_own(session_id: str, headers: Headers) -> bool:
    known = owner(session_id)
    own = bool(known) and known == await run_in_threadpool(_asks, headers)
    if known and not own:
        log.warning("A browser asked for the session of somebody else, and did not get it.")
    return own


def _asks(headers: Headers) -> str:
    values = cookies.of(headers)
    raw, browser = values.get(cookies.session_name(), ""), values.get(cookies.browser_name(), "")
    known = get_database().ask(sessions.actor_for, raw, active=False)
    return _owner(known.actor.id if known else None, browser)


def _owner(account_id: int | None, browser: str) -> str:
    return f"{_ACCOUNT}{account_id}" if account_id is not None else f"browser {browser}"
