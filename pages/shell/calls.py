"""The page's unit of work: open a session, call one service function, commit or roll back.

Errors end as a sentence on the page; `read` then stops the script, `write` returns None. So it
does when the policy asks for an approval: the sentence then names the change that waits. What
needs a fresh proof of who acts opens the dialog that asks for it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import streamlit as st

from backend.accounts.schemas import SignedIn
from backend.accounts.step_up import NotFresh
from backend.core.database import Database, ReadSession, get_database
from backend.core.errors import PortalError, Waiting
from pages.shell import errors, guard, proof

T = TypeVar("T")
Raising = type[PortalError] | tuple[type[PortalError], ...]
_together: ContextVar[ReadSession | None] = ContextVar("_together", default=None)


def database() -> Database:
    """For functions that need several short units of work (a job's wait, an exporter)."""
    return get_database()


def read(function: Callable[..., T], /, **arguments: Any) -> T:
    """`function(session, actor, **arguments)`; a PortalError is shown and stops the page."""
    try:
        return fetch(function, **arguments)
    except PortalError as exc:
        errors.show(exc)
        st.stop()


def once(function: Callable[..., T], /) -> T:
    """Like `read`, for what several parts of a page show: a run that draws it asks once, and anew
    after it has written."""
    known = guard.known_of_run()
    if function not in known:
        known[function] = read(function)
    found: T = known[function]
    return found


def fetch(function: Callable[..., T], /, **arguments: Any) -> T:
    """Like `read`, but the PortalError is raised for a page that has something better to do."""
    actor, session = _actor(guard.signed_in()), _together.get()
    if session is not None:
        return function(session, actor, **arguments)
    return get_database().ask(function, actor, **arguments)


@contextmanager
def together() -> Iterator[None]:
    """Every `read` of the block in one unit of work, in which `core.database.once` counts."""
    try:
        with get_database().read() as session:
            token = _together.set(session)
            try:
                yield
            finally:
                _together.reset(token)
    except PortalError as exc:
        errors.show(exc)
        st.stop()


def fetch_write(function: Callable[..., T], /, **arguments: Any) -> T:
    """Like `write`, but the PortalError is raised: for what a download makes at the click, where no
    page is drawn that could show it."""
    actor = _actor(guard.signed_in_now())
    return get_database().change(function, actor, **arguments)


def write(function: Callable[..., T], /, *, raising: Raising = (), **arguments: Any) -> T | None:
    """`function(session, actor, **arguments)` and commit; a PortalError is shown, None returned.

    raising: errors that the page itself has a place for.
    """
    return _shown(lambda: fetch_write(function, **arguments), raising)


def done(function: Callable[..., object], /, **arguments: Any) -> bool:
    """Like `write`, for a function that answers nothing: whether it was done, or refused, which is
    then shown."""

    def act(session: Any, actor: Any) -> bool:
        function(session, actor, **arguments)
        return True

    return write(act) is True


def run(function: Callable[..., T], /, *, raising: Raising = (), **arguments: Any) -> T | None:
    """`function(database, actor, **arguments)` for services that call outside systems between
    short units of work of their own; a PortalError is shown, None returned."""
    return _shown(lambda: on_database(function, **arguments), raising)


def on_database(function: Callable[..., T], /, **arguments: Any) -> T:
    """Like `run`, but the PortalError is raised for a page that has something better to do."""
    return function(get_database(), _actor(guard.signed_in_now()), **arguments)


@dataclass(frozen=True)
class Bound(Generic[T]):
    """`function(database, actor, **arguments)`, for another thread to call."""

    function: Callable[..., T]
    arguments: Mapping[str, Any]

    def begun(self) -> Callable[[], T]:
        """As the person who is signed in now: at the click, not when its button was drawn."""
        actor = _actor(guard.signed_in_now())
        return partial(self.function, get_database(), actor, **self.arguments)


def bound(function: Callable[..., T], /, **arguments: Any) -> Bound[T]:
    """Like `on_database`, for what is asked beside the page (`shared.beside`)."""
    return Bound(function, arguments)


def _actor(session: SignedIn | None) -> Any:
    if session is None:
        st.warning("Your session has ended. Sign in again.")
        st.stop()
    return session.actor


def _shown(ask: Callable[[], T], raising: Raising) -> T | None:
    """What is asked for; a PortalError is shown where it belongs, unless it is to be raised."""
    try:
        return ask()
    except Waiting as exc:
        errors.show_waiting(exc)
        return None
    except NotFresh:
        proof.ask()
        return None
    except raising:
        raise
    except PortalError as exc:
        errors.show(exc)
        return None
