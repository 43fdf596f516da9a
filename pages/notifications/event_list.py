"""The lists of events and of messages on their way."""

from typing import Any

import streamlit as st

from backend.notifications import inbox as service
from backend.notifications.schemas import DeliveryPage, DeliveryView, EventView, Inbox
from pages.shared import filters, tables
from pages.shell import calls


def inbox(page: Inbox) -> None:
    """What happened, newest first; what is unread is marked."""
    if not page.items:
        st.info("Nothing happened yet that you would be told of.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        many = "99+" if page.unread >= service.MANY else str(page.unread)
        st.markdown(f"**{many}** unread" if page.unread else "Everything is read.", width="content")
        st.space("stretch")
        marked = page.unread and st.button(
            "Mark all as read", key="notifications.seen", icon=":material/done_all:"
        )
        newest = max(each.id for each in page.items)
        if marked and calls.done(service.mark_seen, event_id=newest):
            st.rerun()
    tables.show(
        page.items,
        _event,
        title="What",
        key="notifications.inbox",
        alt="What happened, newest first",
        states=("State",),
        config={
            "New": st.column_config.TextColumn("New", width=40),
            "Open": st.column_config.LinkColumn("Open", display_text="Open", width="small"),
        },
        foot=lambda: _pages(page.next_cursor),
    )


def deliveries(page: DeliveryPage) -> None:
    """What was sent, waits or was given up, with the reason."""
    if not page.items:
        st.info("Nothing was sent yet.")
        return
    tables.show(
        page.items,
        _delivery,
        title="What",
        key="notifications.deliveries",
        alt="Messages to channels, newest first",
        states=("State",),
        file="deliveries",
        foot=lambda: _pages(page.next_cursor),
    )


def _pages(following: int | None) -> None:
    filters.pages(following, parameter="cursor", key="notifications.pages")


def _event(each: EventView) -> dict[str, Any]:
    return {
        "New": "●" if each.unread else "",
        "When": each.at,
        "State": "over" if each.phase == "over" else each.severity,
        "What": each.title,
        "About": each.subject,
        "Environment": each.environment,
        "Open": each.link,
    }


def _delivery(each: DeliveryView) -> dict[str, Any]:
    return {
        "Channel": each.channel,
        "State": each.status,
        "What": each.event.title,
        "About": each.event.subject,
        "Tries": each.attempts,
        "Due": each.due_at,
        "Sent": each.sent_at,
        "Error": each.error,
    }
