"""Adding, renaming, choosing and deleting environments, for admins."""

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from backend.connections import environments
from backend.connections.schemas import EnvironmentView
from backend.sandbox import control
from pages.shared import confirm, reason
from pages.shell import calls, flash
from pages.shell.errors import escape
from pages.shell.style import FORM_WIDTH

_SEEN = "connections.environment_seen"
EDIT, ADD = "connections.edit", "connections.add"
_DELETE = "connections.delete_environment"
_PRODUCTION = "Production: dangerous actions ask for a typed confirmation"


def add(known: Sequence[EnvironmentView]) -> None:
    """The form for a new environment beside those that are there."""
    first = all(item.is_sandbox for item in known)
    width: Literal["stretch"] | int = "stretch" if known else FORM_WIDTH  # of its dialog, or page
    with st.form("connections.add", border=not known, clear_on_submit=False, width=width):
        name = st.text_input("Name", placeholder="Production", key="connections.add.name")
        production = st.checkbox(
            _PRODUCTION,
            key="connections.add.production",
        )
        if first:
            st.caption("It becomes the default, used where no environment is named.")
        default = first or st.checkbox("Make it the default", key="connections.add.default")
        pressed = st.form_submit_button(
            "Add environment", key="connections.add.submit", type="primary"
        )
    if pressed:
        made = calls.write(environments.add, name=name, default=default, is_production=production)
        if made is not None:
            also = f" {environments.DEFAULT_MEANS}" if made.is_default else ""
            flash.success(f"Environment {escape(made.name)} is added.{also} Configure it below.")
            st.query_params.from_dict({"environment": made.name})
            confirm.close()
            st.rerun()


def open_edit() -> None:
    """Of the environment as it is now; for a button's on_click."""
    _forget()
    confirm.open_dialog(EDIT)


def dialogs(environment: EnvironmentView, known: Sequence[EnvironmentView]) -> None:
    """The dialog that is open, if any; drawn at the end of the page."""
    confirm.window(
        EDIT,
        title=f"Environment {escape(environment.name)}",
        body=lambda: _manage(environment),
    )
    confirm.window(ADD, title="Add an environment", body=lambda: add(known))
    _delete_dialog(environment)


def _manage(environment: EnvironmentView) -> None:
    """Rename, mark, make default, delete."""
    seen = _seen(environment)
    with st.form(f"connections.edit.{seen.id}.{seen.version}", border=False):
        name = st.text_input(
            "Name", value=seen.name, key=f"connections.edit.name.{seen.id}.{seen.version}"
        )
        production = st.checkbox(
            _PRODUCTION,
            value=seen.is_production,
            key=f"connections.edit.production.{seen.id}.{seen.version}",
        )
        pressed = st.form_submit_button("Save", key="connections.edit.submit", type="primary")
    if pressed:
        _update(environment, seen, name, production)
    _trust(environment, seen)
    if (
        not environment.is_default
        and st.button("Make it the default", key="connections.default", icon=":material/star:")
        and calls.write(environments.make_default, name=environment.name) is not None
    ):
        flash.success(f"{escape(environment.name)} is the default environment.")
        confirm.close()
    if st.button("Delete …", key="connections.delete", icon=":material/delete:"):
        confirm.open_dialog(_DELETE)


def _trust(environment: EnvironmentView, seen: EnvironmentView) -> None:
    """Whose certificates count; they are shown as names and replaced as a whole."""
    base = f"{EDIT}.trust.{seen.id}.{seen.version}"
    st.markdown("**TLS certificates**")
    own = ", ".join(escape(name) for name in seen.authorities)
    st.caption(
        f"Trusted: this machine's authorities{f' and {own}' if own else ''}."
        if seen.trust.verify
        else "Nothing is verified: whoever is between can pose as any of the servers."
    )
    with st.form(base, border=False):
        verify = st.checkbox("Verify certificates", value=seen.trust.verify, key=f"{base}.verify")
        pem = st.text_area(
            "Authorities of your own (PEM)",
            placeholder="-----BEGIN CERTIFICATE----- …; blank: as it is",
            key=f"{base}.ca",
        )
        clear = own and st.checkbox("Forget those given before", key=f"{base}.clear")
        reason.field(base)
        pressed = st.form_submit_button("Save certificates", key=f"{base}.submit")
    if not pressed:
        return
    with reason.given(base):
        done = calls.write(
            environments.set_trust,
            name=environment.name,
            ca=pem if pem.strip() else "" if clear else None,
            verify=verify,
            version=seen.version,
        )
    if done is not None:
        flash.success(f"{escape(done.name)} trusts these certificates from now on.")
        confirm.close()


def _delete_dialog(environment: EnvironmentView) -> None:
    confirm.ask(
        _DELETE,
        title="Delete this environment?",
        body=lambda: _what_goes(environment),
        action="Delete the environment",
        typed=environment.name,
        on_confirm=lambda: _delete(environment),
        may_wait=True,
    )


def _what_goes(environment: EnvironmentView) -> None:
    held = calls.read(environments.belongings, name=environment.name)
    st.markdown(
        f"{escape(environment.name)} is deleted with all that belongs to it"
        + (f": **{held}**." if held else ".")
        + " This cannot be undone. The outside systems themselves are not touched."
    )


def _delete(environment: EnvironmentView) -> None:
    gone = calls.run(control.remove, name=environment.name, confirm_name=environment.name)
    if gone is not None:
        st.query_params.clear()
        flash.success(f"Environment {escape(gone.name)} is deleted.")
        if gone.is_default and calls.read(environments.list_all):
            flash.warning(
                "It was the default one, and now there is none: commands and scripts that name no "
                "environment are refused. Choose an environment and make it the default under Edit."
            )


def _update(
    environment: EnvironmentView, seen: EnvironmentView, name: str, production: bool
) -> None:
    done = calls.write(
        environments.update,
        name=environment.name,
        version=seen.version,
        new_name=name,
        is_production=production,
    )
    if done is None:
        st.button("Show what is saved now", key="connections.edit.reload", on_click=_forget)
        return
    st.query_params["environment"] = done.name
    flash.success(f"Environment {escape(done.name)} is saved.")
    confirm.close()


def _seen(environment: EnvironmentView) -> EnvironmentView:
    seen = st.session_state.get(_SEEN)
    if seen is None or seen.id != environment.id:
        st.session_state[_SEEN] = seen = environment
    return seen


def _forget() -> None:
    st.session_state.pop(_SEEN, None)
