"""Which environment this browser works in: chosen on every page, in red where it is production."""

from collections.abc import Sequence

import streamlit as st

from backend.connections import environments
from backend.connections.schemas import EnvironmentView
from backend.core.access import Permission
from pages.shell import calls, guard
from pages.shell.errors import escape

_KEPT = "shell.environment"
_CHOICE = "shell.environment.choice"


def chosen(names: Sequence[str]) -> str:
    """The environment of the address, else the one chosen last on any page, else the first.

    names: those that there are, the default one first; at least one.
    """
    for wanted in (st.query_params.get("environment", ""), st.session_state.get(_KEPT, "")):
        if wanted in names:
            return str(wanted)
    return names[0]


def keep(name: str) -> None:
    """The next page opens with it, too."""
    st.session_state[_KEPT] = name


def draw() -> None:
    """The environment of the whole session, to be chosen (its name alone where there is one), and
    a red word behind it where it is a production one."""
    known = _known()
    if not known:
        return
    names = [item.name for item in known]
    name = chosen(names)
    if len(names) == 1:
        st.caption(f"Environment **{escape(name)}**", width="content")
    else:
        # Said in every run: a link wins over what the widget remembers.
        st.session_state[_CHOICE] = name
        st.selectbox(
            "Environment",
            names,
            key=_CHOICE,
            label_visibility="collapsed",
            width=220,
            on_change=_choose,
        )
    _say(known)


def _choose() -> None:
    name = st.session_state[_CHOICE]
    keep(name)
    if "environment" in st.query_params:
        st.query_params["environment"] = name


def badge() -> None:
    """A red word where a click changes what people work with; nothing elsewhere."""
    known = _known()
    if known:
        _say(known)


def _say(known: Sequence[EnvironmentView]) -> None:
    name = chosen([item.name for item in known])
    if any(item.name == name and item.is_production for item in known):
        st.badge(f"Production: {escape(name)}", icon=":material/warning:", color="red")


def _known() -> Sequence[EnvironmentView]:
    session = guard.signed_in()
    if session is None or not session.actor.may(Permission.CONNECTIONS_READ):
        return ()
    return calls.once(environments.list_all)
