"""Channels: what there is, the test, and the form of a new one."""

from typing import Any

import streamlit as st

from backend.connections import environments
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.words import counted
from backend.notifications import channels
from backend.notifications.schemas import ChannelView
from pages.shared import beside, confirm, folds, shown_once, tables
from pages.shell import calls, flash, guard
from pages.shell.errors import escape
from pages.shell.style import FORM_WIDTH

_TEST = "notifications.test"
_DIGESTS = {"": "At once", "hourly": "Hourly", "daily": "Daily"}
_ABOUT = {
    True: "Messages that concern you: changes you asked for or may approve, your runs, and what "
    "your role is told of.",
    False: "Messages of the portal: everything that happens, or the events and the environment "
    "that a channel names.",
}


def draw(actor: Actor, *, personal: bool) -> None:
    """The channels of the portal, or of this person."""
    if personal and not guard.allowed(actor, Permission.OWN_ACCOUNT, "have channels"):
        return
    st.caption(_ABOUT[personal])
    shown_once.show()
    found = calls.read(channels.list_channels, personal=personal)
    if found:
        _table(found)
        _act({each.name: each for each in found}, personal)
    with folds.fold(
        "Add a channel", key="channels.add.form", expanded=not found, icon=":material/add:"
    ):
        _form(personal)


def _table(found: tuple[ChannelView, ...]) -> None:
    tables.show(
        found,
        _row,
        key="notifications.channels",
        alt="Channels",
        optional=("Quiet (UTC)", "Last problem"),
    )


def _row(each: ChannelView) -> dict[str, Any]:
    return {
        "Channel": each.name,
        "Address": each.shown,
        "Environment": each.environment or "all",
        "Events": ", ".join(each.kinds) or "all",
        "Quiet (UTC)": each.quiet,
        "Not urgent": _DIGESTS[each.digest],
        "On": each.enabled,
        "Waiting": each.waiting,
        "Last problem": each.problem,
    }


def _act(known: dict[str, ChannelView], personal: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Channel", list(known), key="notifications.channel", width=320)
        beside.button(
            "Send a test",
            _TEST,
            (name, personal),
            calls.bound(_tested, name=name, personal=personal),
            icon=":material/send:",
        )
        word = "Turn off" if known[name].enabled else "Turn on"
        if st.button(word, key="notifications.switch"):
            enabled = not known[name].enabled
            if calls.done(channels.set_enabled, name=name, enabled=enabled, personal=personal):
                st.rerun()
        st.button(
            "Remove …",
            key="notifications.remove",
            on_click=confirm.open_dialog,
            args=("notifications.remove.sure",),
        )
    with beside.pressed(_TEST, (name, personal)) as done:
        if done:
            st.success(f"{escape(name)} took the test message.", icon=":material/check:")
    lost = counted(known[name].waiting, "message that waits is", "messages that wait are")
    confirm.ask(
        "notifications.remove.sure",
        title=f"Remove the channel {escape(name)}?",
        body=(f"{lost} not sent. " if known[name].waiting else "")
        + "Its address has to be entered again to have it back.",
        action="Remove",
        on_confirm=lambda: _remove(name, personal),
    )


def _tested(database: Database, actor: Actor, *, name: str, personal: bool) -> bool:
    channels.send_test(database, actor, name=name, personal=personal)
    return True


def _remove(name: str, personal: bool) -> bool:
    if not calls.done(channels.remove, name=name, personal=personal):
        return False
    flash.success(f"Channel {escape(name)} is removed.")
    return True


def _form(personal: bool) -> None:
    with st.form("notifications.add", border=False, width=FORM_WIDTH):
        given = _fields()
        if not st.form_submit_button("Add", type="primary"):
            return
    made = calls.write(channels.add, personal=personal, **given)
    if made is not None:
        if made.signing_key:
            shown_once.keep(f"The key that {escape(made.name)} signs with.", made.signing_key)
        flash.success(f"Channel {escape(made.name)} sends to {escape(made.shown)}.")
        st.rerun()


def _fields() -> dict[str, Any]:
    """What `channels.add` wants to know."""
    kinds = {each.name: each.title for each in calls.read(channels.kinds)}
    names = [each.name for each in calls.read(environments.list_all)]
    left, right = st.columns(2)
    name = left.text_input("Name", key="notifications.name", max_chars=80)
    address = right.text_input(
        "Address",
        type="password",
        key="notifications.address",
        max_chars=channels.MAX_ADDRESS,
        help="https://… is a webhook, signed as the Standard Webhooks specification says; "
        "slack://…, msteams://…, mailtos://… and others as appriseit.com/services lists them. "
        "It is never shown again.",
    )
    chosen = left.multiselect(
        "Events",
        list(kinds),
        format_func=kinds.__getitem__,
        placeholder="all",
        key="notifications.kinds",
    )
    environment = right.selectbox(
        "Environment",
        ["", *names],
        format_func=lambda each: each or "all",
        key="notifications.environment",
    )
    quiet = left.text_input(
        "Quiet hours (UTC)",
        placeholder="mon-sun 20:00-07:00",
        key="notifications.quiet",
        help="Only errors are sent then; the rest when they are over.",
    )
    digest = right.selectbox(
        "When it is not urgent",
        list(_DIGESTS),
        format_func=_DIGESTS.__getitem__,
        key="notifications.digest",
    )
    return {
        "name": name,
        "address": address,
        "environment": environment,
        "kinds": chosen,
        "quiet": quiet,
        "digest": digest,
    }
