"""Confirm dialogs, as heavy as the risk and the policy: nothing, a button, or a typed word.

Use:  if st.button("Delete …", key="x.delete"): confirm.open("x.delete", …)
and at the end of the page:  if confirm.ask("x.delete", …): act.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from auth import current, inline
from backend.changes import policy
from backend.changes.schemas import PolicyView
from pages.shared import primary, reason
from pages.shell import calls, flash, where
from pages.shell.errors import escape
from pages.shell.proof import OPEN, PROOF

#: The dialog in which a proof of who acts was asked for (pages.shared.step_up), and what was typed
#: in it: the browser forgets a field that is not drawn meanwhile.
_CAME_FROM = "confirm.came_from"


#: Ends of the keys of a dialog's buttons, which hold nothing that was typed.
_BUTTONS = (".confirm", ".cancel", ".submit", ".reload")


def open_dialog(name: str) -> None:
    """Remember that the dialog `name` is open; call from a button's on_click or branch."""
    st.session_state[OPEN] = name


@st.fragment
def opener(
    label: str,
    name: str,
    draw: Callable[[], None],
    *,
    shortcut: Callable[[], str | None] = lambda: None,
    on_click: Callable[[], None] | None = None,
    **look: Any,
) -> None:
    """A button that opens the dialog `name`, which the page draws in its own runs: its click runs
    this part alone, so the dialog does not wait for all the page.

    draw: draws the dialog; on_click: what else opens it; look: what `st.button` takes besides.
    """
    opens = on_click or partial(open_dialog, name)
    st.button(label, shortcut=shortcut(), on_click=opens, **look)
    if current.is_part() and is_open(name):
        draw()


def is_open(name: str) -> bool:
    return st.session_state.get(OPEN) == name


def any_open() -> bool:
    """Whether any question is open: Streamlit draws one dialog at a time."""
    return OPEN in st.session_state


def close() -> None:
    st.session_state.pop(OPEN, None)
    st.session_state.pop(_CAME_FROM, None)


def go_back() -> bool:
    """Open the dialog again that the proof was asked for in; False when there was none."""
    before = st.session_state.pop(_CAME_FROM, None)
    close()
    if before is not None:
        name, typed = before
        st.session_state.update(typed)
        open_dialog(name)
    return before is not None


def _typed_in(name: str) -> dict[str, Any]:
    """The fields of a dialog, whose keys begin with its name."""
    return {
        str(key): value
        for key, value in st.session_state.items()
        if str(key).startswith(f"{name}.") and not str(key).endswith(_BUTTONS)
    }


def ask(
    name: str,
    *,
    title: str,
    body: Callable[[], None] | str,
    action: str,
    on_confirm: Callable[[], bool | None],
    typed: str | None = None,
    danger: bool = True,
    rule: tuple[str, str | None] | None = None,
    may_wait: bool | None = None,
    form: bool = False,
) -> None:
    """Draw the dialog while it is open.

    body: text (escaped) or a function that draws. typed: the word that must be typed first.
    on_confirm runs once; afterwards the dialog closes and the page reruns. When it returns False,
    having drawn why, the dialog stays as it was filled in.
    rule: action and environment of the policy that says `direct` where nothing is asked; what has
    to be typed is asked for all the same.
    may_wait: whether a policy may ask for an approval, so that a reason can be given; by default
    where a rule is named.
    form: there are fields to fill in, of which the first has the focus.
    """
    if not is_open(name):
        return
    ruled = _policy(*rule) if rule is not None else None
    if typed is None and ruled is not None and ruled.rule.mode == "direct":
        _confirmed(name, on_confirm)
        return

    @st.dialog(title, width="medium", on_dismiss=close)
    def _dialog() -> None:
        where.badge()
        if callable(body):
            body()
        else:
            st.markdown(escape(body))
        _say_policy(ruled)
        if may_wait or (may_wait is None and rule is not None):
            reason.field(name)
        ready = typed is None or _typed(name, typed)
        key = primary.KEY if form or typed is not None else None
        _buttons(name, action, on_confirm, ready=ready, danger=danger, key=key)
        if form:
            inline.focus("field", name)

    _dialog()


def window(name: str, *, title: str, body: Callable[[], None]) -> None:
    """Draw a dialog that has its own forms, while it is open: `body` closes it when it has done
    what was asked for, or opens another one."""
    if not is_open(name):
        return

    @st.dialog(title, width="medium", on_dismiss=close)
    def _dialog() -> None:
        if is_open(name):
            where.badge()
            body()
        if is_open(PROOF):
            st.session_state[_CAME_FROM] = name, _typed_in(name)
        if not is_open(name):
            st.rerun()

    _dialog()


def _buttons(
    name: str,
    action: str,
    on_confirm: Callable[[], bool | None],
    *,
    ready: bool,
    danger: bool,
    key: str | None,
) -> None:
    buttons = st.container(horizontal=True, key=f"{'danger' if danger else 'harmless'}-{name}")
    if buttons.button(
        action,
        key=f"{name}.confirm",
        type="primary",
        disabled=not ready,
        icon=":material/warning:" if danger else ":material/check:",
        shortcut=key,
    ):
        _confirmed(name, on_confirm)
        # Refused, and said why above: the dialog stays, with both of its buttons.
        open_dialog(name)
    if buttons.button("Cancel", key=f"{name}.cancel"):
        close()
        st.rerun()


def _policy(action: str, environment: str | None) -> PolicyView | None:
    if not environment:
        return None
    return calls.read(policy.get, environment=environment, action=action)


def _say_policy(ruled: PolicyView | None) -> None:
    """That the click may only file a request, before it is made."""
    if ruled is not None and ruled.rule.mode == "approve":
        st.caption(
            f":material/approval: Policy of {escape(ruled.environment)}: "
            f"{escape(ruled.words)}. What needs approval is only requested now."
        )


def _confirmed(name: str, on_confirm: Callable[[], bool | None]) -> None:
    """Act and rerun the page; returns only when it was refused and that was drawn."""
    close()
    with flash.deferring(), reason.given(name):
        done = on_confirm()
    if is_open(PROOF):
        st.session_state[_CAME_FROM] = name, _typed_in(name)
        st.rerun()
    if done is not False:
        st.rerun()
    flash.show()  # a refusal that was kept for the next run, of which there is none


def _typed(name: str, word: str) -> bool:
    """Whether the word was typed that confirms it."""
    label = f"Type {escape(word)} to confirm"
    given = st.text_input(label, key=f"{name}.typed", live=True, autocomplete="off")
    return given.strip() == word
