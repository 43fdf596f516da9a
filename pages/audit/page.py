"""Look up who did what and when, and prove that the log was not changed."""

import streamlit as st

from backend.accounts import audit_log
from backend.accounts.audit_log import AuditFilter
from backend.core import clock
from backend.core.access import Actor, Permission
from backend.core.audit import Verification
from backend.core.database import Database
from pages.audit import event_table
from pages.shared import beside, drawer, filters, rows, tables
from pages.shell import calls, flash, guard, head
from pages.shell.errors import escape

_VERIFIED = "audit.verify"


def verify(database: Database, actor: Actor) -> Verification:
    """Walk the chain, which takes as long as the log is."""
    return database.ask(audit_log.verify, actor)


def verified() -> None:
    """While the chain is walked how far it is, then what was found, once."""
    with beside.pressed(_VERIFIED, "the log") as found:
        if found is not None:
            outcome(found)
            rows.show(clock.now(), key="audit.outcome")


def outcome(found: Verification) -> None:
    """Whether the log is whole, and where it is not."""
    if found.ok:
        st.success(f"The log is whole: {found.events:,} events.", icon=":material/verified:")
    else:
        st.error(
            f"The log was changed: {escape(found.problem)} (first broken row: "
            f"{found.first_broken}). Tell whoever is responsible for security.",
            icon=":material/gpp_bad:",
        )


def exported(asked: AuditFilter) -> str:
    """The CSV of what the filters find; that it was made is itself an event."""
    return calls.fetch_write(audit_log.export_csv, filters=asked).text


# gate
actor = guard.require(Permission.AUDIT_READ)
head.draw("Audit log", "Who did what, when, and how it ended; nothing here can be changed.")
flash.show()
# ask
asked = event_table.ask()
current = filters.number("event")
# load
listed = calls.read(audit_log.list_events, filters=asked, before=filters.number("before"))
# present
if not listed.items:
    st.info(tables.SEARCH_ON if listed.next_cursor else "No event fits these filters.")
else:
    current = event_table.table(listed, current)
filters.put("event", current)
if current is not None:
    # The address of one event shows it, also when the list has moved on.
    row = calls.read(audit_log.get, number=current)
    drawer.show(f"Event {row.number}", lambda: event_table.details(row), parameter="event")
# act
with tables.foot():
    if actor.may(Permission.AUDIT_EXPORT) and listed.items:
        tables.download_text(
            f"audit-{clock.now():%Y%m%d-%H%M%S}",
            lambda: exported(asked),
            key="audit.csv",
            help=f"What the filters find, the newest {audit_log.MAX_EXPORT:,} events at most.",
        )
    beside.button(
        "Verify the log", _VERIFIED, "the log", calls.bound(verify), icon=":material/verified:"
    )
    filters.pages(listed.next_cursor, parameter="before", key="audit")
with st.container():
    verified()
