"""Live sessions, each with a way to end it."""

import streamlit as st

from backend.accounts import sessions
from backend.accounts.schemas import SessionView
from backend.core.access import Actor
from backend.core.database import WriteSession
from pages.shared import tables, times
from pages.shell import calls, flash
from pages.shell.errors import escape

SHOWN = 50


def show(
    views: list[SessionView],
    *,
    own_session_id: int,
    key: str,
    with_names: bool = True,
    may_end: bool = True,
) -> None:
    """One line per session; `own_session_id` is marked and ended by signing out instead.

    may_end: whether this person may end the others."""
    if not views:
        st.caption("No live session.")
    for view in views[:SHOWN]:
        text, button = st.columns([5, 1], vertical_alignment="center")
        who = f"**{escape(view.account_name)}** · " if with_names else ""
        text.markdown(
            f"{who}{escape(_browser(view.user_agent))} at {escape(view.address or 'unknown')}  \n"
            f":gray[signed in {times.relative(view.created_at)}, last seen "
            f"{times.relative(view.last_seen_at)}, ends {times.relative(view.expires_at)}]",
            help=f"Signed in {times.exact(view.created_at)}, last seen "
            f"{times.exact(view.last_seen_at)}, ends {times.exact(view.expires_at)}",
        )
        if view.id == own_session_id:
            button.badge("this browser", color="blue")
        elif may_end:
            button.button(
                "End",
                key=f"{key}.end.{view.id}",
                icon=":material/logout:",
                help="This browser has to sign in again.",
                on_click=_end,
                args=(view.id,),
            )
    if len(views) > SHOWN:
        more = f"{len(views) - SHOWN} more live sessions are only in the CSV."
        if len(views) >= sessions.MAX_LISTED:
            more += (
                f" It has the {sessions.MAX_LISTED} that were used last; an account's own are in "
                "its details."
            )
        st.caption(more)
    if views:
        tables.download("sessions", _HEADERS, lambda: map(_line, views), key=f"{key}.csv")


_HEADERS = ("account", "browser", "address", "signed_in", "last_seen", "ends")


def _line(view: SessionView) -> tuple[object, ...]:
    browser = _browser(view.user_agent)
    instants = (view.created_at, view.last_seen_at, view.expires_at)
    return (view.account_name, browser, view.address, *instants)


def _end(session_id: int) -> None:
    with flash.deferring():
        ended = calls.write(_ended, session_id=session_id)
    if ended:
        flash.success("The session is ended.")


def _ended(session: WriteSession, actor: Actor, *, session_id: int) -> bool:
    sessions.end(session, actor, session_id=session_id)
    return True


def _browser(user_agent: str) -> str:
    """The browser's and the system's name; the full text is only noise."""
    browser = next(
        (
            name
            for mark, name in (
                ("Edg/", "Edge"),
                ("Firefox/", "Firefox"),
                ("Chrome/", "Chrome"),
                ("Safari/", "Safari"),
            )
            if mark in user_agent
        ),
        user_agent[:40] or "Unknown browser",
    )
    system = next(
        (
            name
            for mark, name in (
                ("Windows", "Windows"),
                ("Android", "Android"),
                ("iPhone", "iOS"),
                ("Mac OS", "macOS"),
                ("Linux", "Linux"),
            )
            if mark in user_agent
        ),
        "",
    )
    return f"{browser} on {system}" if system else browser
