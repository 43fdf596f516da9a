"""The form of one connection: settings, write-only secrets, test before saving, save."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from backend.connections import service, testing
from backend.connections.fields import Field
from backend.connections.kinds import Kind
from backend.connections.schemas import ConnectionView, SecretState
from backend.core.errors import FieldInvalid
from backend.core.log import mask_text
from pages.connections import problem
from pages.shared import beside, confirm, reason, times
from pages.shell import calls, flash
from pages.shell.errors import escape
from pages.shell.style import FORM_WIDTH

#: The test of what is stored, asked beside the page.
ASKED = "connections.one"
_SEEN = "connections.seen"


@dataclass(frozen=True)
class Submitted:
    """What the person pressed, with what stands in the form. secrets may be blank."""

    action: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str]
    version: int

    def __repr__(self) -> str:
        return f"Submitted({self.action!r})"  # never the secrets


def draw(kind: Kind, view: ConnectionView) -> Submitted | None:
    """The form as it was when first shown; a save by somebody else in between is said."""
    seen = _seen(view)
    if seen.version != view.version:
        st.warning(
            f"{escape(view.updated_by or 'Somebody')} saved this connection "
            f"{times.relative(view.updated_at)}, while you were editing. What you typed is below; "
            "it cannot be saved over theirs.",
            icon=":material/sync_problem:",
        )
        st.button("Show what is saved now", key="connections.reload", on_click=forget)
    base = _base(view, kind, seen.version)
    with st.form(f"{base}.form", border=True, enter_to_submit=False, width=FORM_WIDTH):
        problems = st.session_state.pop(f"{base}.problems", {})
        settings = {
            field.name: _setting(
                field, seen.settings.get(field.name, ""), f"{base}.{field.name}", problems
            )
            for field in kind.settings
        }
        states = {state.field: state for state in view.secrets}
        secrets = {
            field.name: _secret(field, states[field.name], f"{base}.{field.name}", problems)
            for field in kind.secrets
        }
        reason.field(base)
        test, save, _ = st.columns([2, 2, 3])
        tested = test.form_submit_button(
            "Test without saving",
            key=f"{base}.test",
            icon=":material/network_check:",
            width="stretch",
        )
        saved = save.form_submit_button(
            "Save", key=f"{base}.save", type="primary", icon=":material/save:", width="stretch"
        )
    if not tested and not saved:
        return None
    return Submitted("save" if saved else "test", settings, secrets, seen.version)


def _base(view: ConnectionView, kind: Kind, version: int) -> str:
    return f"connections.{view.environment}.{kind.name}.{version}"


def version(view: ConnectionView) -> int:
    """Of what the form was opened on."""
    return _seen(view).version


def save(view: ConnectionView, kind: Kind, form: Submitted) -> None:
    """Store what was submitted and test it: a wrong setting is seen at once. A refusal is shown
    and the form keeps what was typed."""
    done = None
    try:
        with reason.given(_base(view, kind, form.version)):
            done = calls.write(
                service.save,
                environment=view.environment,
                kind=kind.name,
                settings=form.settings,
                secrets_in=form.secrets,
                version=form.version,
                raising=FieldInvalid,
            )
    except FieldInvalid as exc:
        said_wrong(view, kind, form.version, exc)
    if done is not None:
        forget()
        begin_test(view)
        flash.success(f"The {kind.label} connection of {escape(view.environment)} is saved.")
        st.rerun()


def about(view: ConnectionView) -> tuple[str, str]:
    return (view.environment, view.kind)


def begin_test(view: ConnectionView) -> None:
    """Of what is stored; the page shows it, and that it can be stopped."""
    function = calls.bound(testing.run, environment=view.environment, kind=view.kind)
    beside.begin(ASKED, about(view), function)


def forget_secret(view: ConnectionView, kind: Kind, field: str) -> None:
    """A button and its dialog: a secret that is forgotten cannot be had back from the portal."""
    name = f"connections.forget.{kind.name}.{field}"
    if st.button(f"Forget the stored {field} …", key=name, icon=":material/key_off:"):
        confirm.open_dialog(name)
    is_key = kind.name == "tokenization"
    lost = (
        "Values tokenized from then on get other tokens than the same values have now."
        if is_key
        else "Everything that uses this connection stops working until it is set again."
    )
    confirm.ask(
        name,
        title=f"Forget the {field} of {kind.label}?",
        body=f"The portal cannot show it or bring it back. {lost}",
        action=f"Forget the {field}",
        typed=view.environment if is_key else None,
        on_confirm=lambda: _clear_secret(view, kind, field),
        may_wait=True,
    )


def _clear_secret(view: ConnectionView, kind: Kind, field: str) -> None:
    done = calls.write(
        service.save,
        environment=view.environment,
        kind=kind.name,
        settings={},
        clear_secrets=[field],
        version=view.version,
    )
    if done is not None:
        forget()
        flash.success(f"The {field} of {kind.label} is forgotten.")


def forget() -> None:
    """Start the form again from what is stored."""
    st.session_state.pop(_SEEN, None)


def _seen(view: ConnectionView) -> ConnectionView:
    """The stored state this form was opened on; it holds no secrets."""
    seen = st.session_state.get(_SEEN)
    if seen is None or (seen.environment, seen.kind) != (view.environment, view.kind):
        st.session_state[_SEEN] = seen = view
    return seen


def said_wrong(view: ConnectionView, kind: Kind, version: int, exc: FieldInvalid) -> None:
    """Draw the form again with each sentence under the field that it is about."""
    st.session_state[f"{_base(view, kind, version)}.problems"] = exc.problems
    flash.warning(escape(mask_text(exc.message)))
    st.rerun()


def _setting(field: Field, stored: str, key: str, problems: Mapping[str, str]) -> str:
    label = field.label if field.required else f"{field.label} (optional)"
    if field.choices:
        value = stored or field.default
        index = field.choices.index(value) if value in field.choices else 0
        value = st.selectbox(label, field.choices, index=index, help=field.help or None, key=key)
    else:
        value = st.text_input(
            label,
            value=stored,
            placeholder=field.placeholder or field.default,
            help=field.help or None,
            key=key,
        )
    problem.draw(problems.get(field.name))
    return value


def _secret(field: Field, state: SecretState, key: str, problems: Mapping[str, str]) -> str:
    note = "Not set."
    if state.is_set:
        changed = f"changed {times.relative(state.changed_at)} by {escape(state.changed_by)}"
        note = f"Set, {changed}. Leave it blank to keep it; another address asks for it again."
    value = st.text_input(
        field.label,
        type="password",
        value="",
        autocomplete="new-password",
        placeholder="unchanged" if state.is_set else "",
        help=f"{field.help} It is stored encrypted and never shown again.",
        key=key,
    )
    problem.draw(problems.get(field.name))
    st.caption(note, help=times.exact(state.changed_at) or None)
    return value
