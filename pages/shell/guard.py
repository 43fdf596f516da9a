"""The gate that every page opens with: who is signed in, and may they be here?

Asked of the database at each run, never of st.session_state, so that a changed role, an ended
session or a disabled account counts at the next click. A run that draws a page asks once for all
that it reads; what writes asks again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from auth import current
from backend.accounts.schemas import SignedIn
from backend.core.access import PERMISSIONS, Actor, Permission, Role
from backend.core.errors import NotPermitted, PortalError
from pages.shell import errors


@dataclass(frozen=True)
class _Run:
    """Who is signed in, and what `calls.once` has read for them."""

    session: SignedIn | None
    known: dict[Callable[..., Any], Any] = field(default_factory=dict)


#: Of a run that draws a page and has not written anything yet.
_of_run: ContextVar[_Run | None] = ContextVar("_of_run", default=None)


@contextmanager
def one_run() -> Iterator[SignedIn | None]:
    """Who is behind this browser, as `signed_in` says it to the end of the block."""
    session = signed_in_now()
    before = _of_run.set(_Run(session))
    try:
        yield session
    finally:
        _of_run.reset(before)


def signed_in() -> SignedIn | None:
    """Who is behind this browser in this run, or None. Stops the script with a kind page when the
    state database is away."""
    run = _of_run.get()
    return (run.session if run is not None else None) or signed_in_now()


def known_of_run() -> dict[Callable[..., Any], Any]:
    """What this run has read already, to be added to; of no use outside of a run and in one that
    has written."""
    run = _of_run.get()
    return run.known if run is not None else {}


def signed_in_now() -> SignedIn | None:
    """The same, asked of the database; so is whatever this run asks after it."""
    _of_run.set(None)
    try:
        return current.signed_in()
    except PortalError as exc:
        errors.show(exc)
        st.button("Try again", key="guard.retry")
        st.stop()


def require(permission: Permission) -> Actor:
    """The actor; stops the script with a notice when nobody is signed in or the role lacks it."""
    session = signed_in()
    if session is None:
        st.warning("Your session has ended. Sign in again.", icon=":material/login:")
        st.link_button("Sign in", "/", type="primary")
        st.stop()
    if session.must_change_password and permission is not Permission.OWN_ACCOUNT:
        st.warning("Choose a password of your own first.", icon=":material/key:")
        st.stop()
    if session.must_add_factor and permission is not Permission.OWN_ACCOUNT:
        st.warning("Set up your second factor first.", icon=":material/key:")
        st.stop()
    if not session.actor.may(permission):
        errors.show(
            NotPermitted(
                f"This page is for {_roles(permission)}; your role is {session.actor.role.value}. "
                "An admin can give you another one."
            )
        )
        st.stop()
    return session.actor


def allowed(actor: Actor, permission: Permission, action: str) -> bool:
    """May the actor do `action` ("mount and unmount")? When not, one line says which roles may."""
    if actor.may(permission):
        return True
    st.caption(
        f":material/lock: Only {_roles(permission)} {action}; your role is {actor.role.value}."
    )
    return False


def _roles(permission: Permission) -> str:
    """ "stewards and admins": who has the permission."""
    *others, last = [f"{role.value}s" for role in Role if permission in PERMISSIONS[role]]
    return f"{', '.join(others)} and {last}" if others else last
