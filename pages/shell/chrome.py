"""What surrounds every page: logo, who is signed in, sign-out, the strip on top."""

from collections.abc import Mapping, Sequence

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from auth import sign_out
from backend.accounts.schemas import SignedIn
from backend.connections import environments
from backend.core.access import Permission
from backend.notifications import inbox
from backend.sandbox import control
from pages.shared import confirm
from pages.shell import calls, flash, where
from pages.shell.errors import escape
from pages.shell.registry import FOLDER

_LEAVE = "chrome.leave_sandbox"

#: What the theme has no setting for. What has the focus is not hidden by a bar at the lower edge.
#: Where nothing hovers, a table's tools are always there, and get room above it.
STYLE = """<style>
[data-testid="stMainBlockContainer"] {max-width: 1500px}
[data-testid="stElementContainer"]:has(.portal-show) {display: none}
[data-testid="stMain"]:has([data-testid="stBottom"]) {scroll-padding-bottom: 10rem}
[data-testid="stPageLink-NavLink"]:focus-visible {outline: 2px solid; outline-offset: -2px}
[data-testid="stMetric"] {min-width: 7rem}
[data-testid="stMetricLabel"], [data-testid="stMetricLabel"] * {white-space: normal !important}
[data-testid="stBaseButton-primary"], [data-testid="stBaseButton-primaryFormSubmit"] {
  color: light-dark(#ffffff, #0b1220)}
[class*="st-key-danger-"] [data-testid="stBaseButton-primary"]:not([disabled]) {
  background: #c0392b; border-color: #c0392b; color: #ffffff}
[data-tag], [data-tag] span, [data-tag] button {color: light-dark(#ffffff, #0b1220)}
@media (hover: none) {[data-testid="stElementContainer"]:has([data-testid="stDataFrame"]) {
  margin-top: 1.75rem}}
[data-testid="stCaptionContainer"] code {color: inherit; background: transparent}
[class*="st-key-mounts-facet-"] button {min-height: 2rem; padding: 0 0.75rem; border-radius: 1rem}
.st-key-connections-kind [data-rac]:has(> [data-testid="stRadioOption"]) {
  display: flex; flex-direction: row; flex-wrap: wrap; justify-content: space-between;
  align-items: center; column-gap: 0.5rem; width: 100%}
.st-key-connections-kind [data-testid="stRadioCaption"] {margin: 0; padding: 0}
.st-key-connections-kind [data-testid="stRadioCaption"] * {opacity: 1}
</style>"""


def draw(session: SignedIn, sections: Mapping[str, Sequence[StreamlitPage]]) -> None:
    """Sidebar and strip. sections: heading → pages, "" for those without a heading.

    Streamlit's own menu puts headings inside a list, which screen readers announce wrongly.
    """
    st.html(STYLE)
    st.logo(FOLDER / "static" / "logo.svg", icon_image=FOLDER / "static" / "icon.svg", size="large")
    with st.sidebar:
        for heading, pages in sections.items():
            with st.container(gap="xsmall"):
                if heading:
                    st.caption(heading)
                for page in pages:
                    st.page_link(page, label=_label(page), width="stretch")
        st.divider()
        st.caption(f"Signed in as **{escape(session.actor.name)}** ({session.actor.role.value})")
        sign_out.button()
    _strip(session)


def _label(page: StreamlitPage) -> str:
    """The bell: how much is unread, wherever one is."""
    if page.url_path != "notifications":
        return page.title
    unread = calls.read(inbox.unread)
    many = "99+" if unread >= inbox.MANY else str(unread)
    return f"{page.title} **({many})**" if unread else page.title


def _strip(session: SignedIn) -> None:
    state = calls.read(control.state)
    if not state.active:
        if state.message and session.actor.may(Permission.ENVIRONMENTS_WRITE):
            st.warning(state.message, icon=":material/science:")
        where.badge()
        return
    with st.container(horizontal=True, vertical_alignment="center", key="chrome.sandbox"):
        st.badge("Sandbox", icon=":material/science:", color="blue")
        st.caption(state.message, width="content")
        where.badge()
        st.space("stretch")
        if session.actor.may(Permission.ENVIRONMENTS_WRITE):
            st.button(
                "Leave sandbox …",
                key=_LEAVE,
                type="tertiary",
                icon=":material/exit_to_app:",
                on_click=confirm.open_dialog,
                args=(_LEAVE,),
            )
    if session.actor.may(Permission.ENVIRONMENTS_WRITE):
        _leave_dialog()


def _leave_dialog() -> None:
    confirm.ask(
        _LEAVE,
        title="Leave the sandbox?",
        body=(
            "It ends at once and for everybody: the environment goes with its connections, test "
            "history, ingestion rules and mount targets, and its servers stop. Environments of "
            "your own stay as they are. To have a sandbox again, start the portal with "
            "PORTAL_SANDBOX=on."
        ),
        action="Leave the sandbox",
        on_confirm=_leave,
    )


def _leave() -> None:
    if not calls.run(control.leave):
        return
    st.query_params.clear()
    text = "The sandbox is gone."
    if not calls.read(environments.list_all):
        text += " Add your first environment on Connections."
    flash.success(text)
