"""The lists of events and of messages on their way."""

import pandas as pd
import streamlit as st

from backend.notifications import inbox as service
from backend.notifications.schemas import DeliveryPage, EventView, Inbox
from pages.shared import tables, times
from pages.shell import calls

_STATES = ("error", "warning", "info", "over")


def inbox(page: Inbox) -> None:
    """What happened, newest first; what is unread is marked."""
    if not page.items:
        st.info("Nothing happened yet that you would be told of.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        many = "99+" if page.unread >= service.MANY else str(page.unread)
        st.markdown(f"**{many}** unread" if page.unread else "Everything is read.", width="content")
        st.space("stretch")
        if page.unread and st.button(
            "Mark all as read", key="notifications.seen", icon=":material/done_all:"
        ):
            calls.write(service.mark_seen, event_id=max(each.id for each in page.items))
            st.rerun()
    st.dataframe(
        pd.DataFrame(
            {
                "New": ["●" if each.unread else "" for each in page.items],
                "When": [each.at for each in page.items],
                "State": tables.chips(_state(each) for each in page.items),
                "What": [each.title for each in page.items],
                "About": [each.subject for each in page.items],
                "Environment": [each.environment for each in page.items],
                "Open": [each.link for each in page.items],
            }
        ),
        hide_index=True,
        width="stretch",
        key="notifications.inbox",
        column_config={
            "New": st.column_config.TextColumn("New", width=40),
            "When": times.column("When"),
            "State": tables.states("State", _STATES),
            "Open": st.column_config.LinkColumn("Open", display_text="Open", width="small"),
        },
    )


def deliveries(page: DeliveryPage) -> None:
    """What was sent, waits or was given up, with the reason."""
    if not page.items:
        st.info("Nothing was sent yet.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "Channel": [each.channel for each in page.items],
                "State": tables.chips(each.status for each in page.items),
                "What": [each.event.title for each in page.items],
                "About": [each.event.subject for each in page.items],
                "Tries": [each.attempts for each in page.items],
                "Due": [each.due_at for each in page.items],
                "Sent": [each.sent_at for each in page.items],
                "Error": [each.error for each in page.items],
            }
        ),
        hide_index=True,
        width="stretch",
        key="notifications.deliveries",
        column_config={
            "State": tables.states("State", ("waiting", "sent", "failed", "dropped")),
            "Due": times.column("Due"),
            "Sent": times.column("Sent"),
        },
    )


def _state(each: EventView) -> str:
    return "over" if each.phase == "over" else each.severity
