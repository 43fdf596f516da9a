"""One's own second factor: on "My account", and alone on the screen where the role asks for one."""

from typing import Any

import streamlit as st

from backend.accounts import second_factor
from backend.accounts.schemas import Enrolment, SecondFactorView, SignedIn
from backend.core.words import counted
from pages.shared import confirm, times
from pages.shell import calls, flash, guard
from pages.shell.style import FORM_WIDTH

_ENROLMENT = "second_factor.enrolment"
_CODES = "second_factor.codes"
_OFF = "second_factor.off.sure"


def draw(session: SignedIn) -> None:
    """State, and what can be done about it."""
    st.header("Second factor", anchor=False)
    if _CODES in st.session_state:
        _show_codes()
        return
    view = calls.read(second_factor.status)
    enrolment = st.session_state.get(_ENROLMENT)
    if enrolment is not None:
        _set_up(enrolment)
    elif view.on:
        _on(view)
    else:
        needed = f" Your role ({session.actor.role.value}) asks for one." if view.required else ""
        st.markdown(
            "A code of an authenticator app on your phone, asked for after your password: a "
            f"password alone then opens nothing.{needed}"
        )
        st.button("Set up", key="second_factor.begin", type="primary", on_click=_begin)


def must_be_drawn(session: SignedIn) -> bool:
    """Whether the second factor stands before every page: missing, or its codes are unseen."""
    return session.must_add_factor or _CODES in st.session_state


def must() -> None:
    """What somebody sees instead of every page until the second factor of the role is there."""
    session = guard.signed_in()
    if session is None or not must_be_drawn(session):
        st.rerun()
    _, middle, _ = st.columns([1, 2, 1])
    with middle:
        st.title("Set up your second factor", anchor=False)
        flash.show()
        draw(session)


def _on(view: SecondFactorView) -> None:
    left = counted(view.recovery_codes_left, "recovery code")
    st.markdown(f"On since {times.exact(view.since)}; {left} left.")
    with st.container(horizontal=True):
        st.button("Set up another app", key="second_factor.begin", on_click=_begin)
        st.button("New recovery codes", key="second_factor.renew", on_click=_renew)
        if not view.required:
            st.button(
                "Turn off …",
                key="second_factor.off",
                on_click=confirm.open_dialog,
                args=(_OFF,),
            )
    confirm.ask(
        _OFF,
        title="Turn your second factor off?",
        body="Your password alone then opens your account.",
        action="Turn off",
        on_confirm=_turn_off,
    )


def _set_up(enrolment: Enrolment) -> None:
    st.markdown(
        "1. Scan this with an authenticator app. It is shown only now.\n"
        "2. Type the code that the app shows."
    )
    with st.container(width=FORM_WIDTH):
        picture, manual = st.columns([1, 2], vertical_alignment="center")
    with picture:
        st.image(_picture(enrolment.uri), width=230, alt="QR code for an authenticator app")
    with manual:
        st.caption("No camera? Type this key into the app:")
        st.code(" ".join(_in_fours(enrolment.secret)), language=None)
        with st.form("second_factor.confirm", clear_on_submit=True, border=False):
            code = st.text_input(
                "Code from the app", key="second_factor.code", autocomplete="one-time-code"
            )
            sent = st.form_submit_button("Turn on", type="primary", key="second_factor.send")
        if st.button("Cancel", type="tertiary", key="second_factor.cancel"):
            _forget()
            st.rerun()
    if sent:
        codes = calls.run(second_factor.confirm, code=code)
        if codes is not None:
            _forget()
            st.session_state[_CODES] = codes
            flash.success("Your second factor is on.")
            st.rerun()


def _picture(uri: str) -> str:
    """The QR code as SVG, which Streamlit puts into the page itself: no file with an address."""
    import segno

    made: Any = segno.make(uri, error="m")
    return str(made.svg_inline(scale=5, border=4, dark="#000000", light="#ffffff"))


def _begin() -> None:
    enrolment = calls.write(second_factor.begin)
    if enrolment is not None:
        st.session_state[_ENROLMENT] = enrolment


def _renew() -> None:
    codes = calls.write(second_factor.renew_recovery_codes)
    if codes is not None:
        st.session_state[_CODES] = codes


def _turn_off() -> None:
    if calls.write(second_factor.turn_off):
        flash.success("Your second factor is off.")


def _show_codes() -> None:
    st.warning(
        "Your recovery codes. Each signs you in once when the app is lost. Keep them where "
        "the phone is not: they are shown only this once.",
        icon=":material/content_copy:",
    )
    st.code("\n".join(st.session_state[_CODES]), language=None)
    if st.button("I have kept them", key="second_factor.kept", type="primary"):
        del st.session_state[_CODES]
        st.rerun()


def _forget() -> None:
    st.session_state.pop(_ENROLMENT, None)


def _in_fours(text: str) -> list[str]:
    return [text[at : at + 4] for at in range(0, len(text), 4)]
