"""The Streamlit script: sign-in gate, then the pages this person may see."""

import streamlit as st

from auth import sign_in
from backend.core.errors import PortalError
from pages.shared import palette, password_form, second_factor_form, step_up
from pages.shell import chrome, errors, guard, measured, registry

# No page_title: it would stand in place of every page's own in the browser's tabs and history.
st.set_page_config(page_icon=chrome.ICON, layout="wide")

try:
    with guard.one_run() as session:
        if session is None:
            # A stranger gets the sign-in form at every address, so that a deep link survives it.
            forms = [
                st.Page(
                    sign_in.page,
                    title="Sign in",
                    url_path=page.url_path,
                    default=page.url_path == "",
                )
                for page in registry.PAGES
            ]
            chrome.logo()
            st.navigation(forms, position="hidden").run()
            st.stop()
        first = (
            password_form.must
            if session.must_change_password
            else second_factor_form.must
            if second_factor_form.must_be_drawn(session)
            else None
        )
        if first is not None:
            # At every address too: afterwards the page of the link opens.
            only = [
                st.Page(
                    first,
                    title="Before you go on",
                    url_path=page.url_path,
                    default=page.url_path == "",
                )
                for page in registry.PAGES
            ]
            alone = st.navigation(only, position="hidden")
            chrome.draw(session, alone=True)
            alone.run()
            step_up.draw()
            st.stop()
        # Without headings: Streamlit puts them inside a list, which screen readers announce
        # wrongly.
        pages: list[st.Page] = []
        for page in registry.PAGES:
            # Every page has its address for everybody: who follows a link to one that the role does
            # not have reads so from the page's own guard, instead of "Page not found".
            pages.append(
                st.Page(
                    page.path,
                    title=page.title,
                    icon=page.icon,
                    url_path=page.url_path,
                    default=page.url_path == "",
                    visibility="visible"
                    if page.listed and session.actor.may(page.permission)
                    else "hidden",
                )
            )
        chrome.tell_of_work(session.actor)
        step_up.tell()
        chosen = st.navigation(pages, expanded=True)
        chrome.draw(session)
        palette.draw(
            session.actor
        )  # before a page that stops, for want of an environment or a system
        with measured.run(chosen.url_path or "overview"):
            chosen.run()
        step_up.draw()
except PortalError as exc:
    errors.show(exc)
