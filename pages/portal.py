"""The Streamlit script: sign-in gate, then the pages this person may see."""

from collections.abc import Callable

import streamlit as st

from auth import sign_in
from backend.accounts.schemas import SignedIn
from backend.core.access import Actor
from backend.core.errors import PortalError
from pages.shared import palette, password_form, second_factor_form, step_up
from pages.shell import chrome, errors, guard, measured, registry

_PAGES = "portal.pages"


def draw(session: SignedIn | None) -> None:
    """What this person sees at this address."""
    if session is None:
        # A stranger gets the sign-in form at every address, so that a deep link survives it.
        chrome.logo()
        _at_every_address(sign_in.page, "Sign in").run()
    elif (first := _first(session)) is not None:
        # At every address too: afterwards the page of the link opens.
        alone = _at_every_address(first, "Before you go on")
        chrome.draw(session, alone=True)
        alone.run()
        step_up.draw()
    else:
        _draw_page(session)


def _first(session: SignedIn) -> Callable[[], None] | None:
    """What has to be done before anything else."""
    if session.must_change_password:
        return password_form.must
    return second_factor_form.must if second_factor_form.must_be_drawn(session) else None


def _at_every_address(page: Callable[[], None], title: str) -> st.Page:
    pages = [
        st.Page(page, title=title, url_path=each.url_path, default=each.url_path == "")
        for each in registry.PAGES
    ]
    return st.navigation(pages, position="hidden")


def _draw_page(session: SignedIn) -> None:
    chrome.tell_of_work(session.actor)
    step_up.tell()
    # Without headings: Streamlit puts them inside a list, which screen readers announce wrongly.
    chosen = st.navigation(_pages(session.actor), expanded=True)
    chrome.draw(session)
    palette.draw(session.actor)  # before a page that stops, for want of an environment or a system
    with measured.run(chosen.url_path or "overview"):
        chosen.run()
    step_up.draw()


def _pages(actor: Actor) -> list[st.Page]:
    """Every page has its address for everybody: who follows a link to one that the role does not
    have reads so from the page's own guard, instead of "Page not found".

    Made once in a browser's session, and anew for another role: each looks for its file.
    """
    listed = [page.listed and actor.may(page.permission) for page in registry.PAGES]
    known: tuple[list[bool], list[st.Page]] = st.session_state.get(_PAGES, ([], []))
    if known[0] != listed:
        pages = [
            st.Page(
                page.path,
                title=page.title,
                icon=page.icon,
                url_path=page.url_path,
                default=page.url_path == "",
                visibility="visible" if shown else "hidden",
            )
            for page, shown in zip(registry.PAGES, listed, strict=True)
        ]
        known = st.session_state[_PAGES] = listed, pages
    return known[1]


# No page_title: it would stand in place of every page's own in the browser's tabs and history.
st.set_page_config(page_icon=chrome.ICON, layout="wide")

try:
    with guard.one_run() as signed_in:
        draw(signed_in)
except PortalError as exc:
    errors.show(exc)
