"""Which environment this browser works in: said on every page, in red where it is production."""

from collections.abc import Sequence

import streamlit as st

from backend.connections import environments
from backend.connections.schemas import EnvironmentView
from backend.core.access import Permission
from pages.shell import calls, guard
from pages.shell.errors import escape

_KEPT = "shell.environment"


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


def production() -> EnvironmentView | None:
    """The environment of this page when it is a production one."""
    session = guard.signed_in()
    if session is None or not session.actor.may(Permission.CONNECTIONS_READ):
        return None
    known = calls.read(environments.list_all)
    if not known:
        return None
    name = chosen([item.name for item in known])
    return next((item for item in known if item.name == name and item.is_production), None)


def badge() -> None:
    """A red word where a click changes what people work with; nothing elsewhere."""
    found = production()
    if found is not None:
        st.badge(f"Production: {escape(found.name)}", icon=":material/warning:", color="red")
