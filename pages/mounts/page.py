"""See what is mounted where, find orphans, mount and unmount."""

import streamlit as st

from backend.core.access import Permission
from pages.mounts import action_dialogs as act
from pages.mounts import detail_view, filter_bar, host_dialogs, place_view, views
from pages.shared import filters, waiting
from pages.shell import flash, guard, head

# gate
actor = guard.require(Permission.MOUNTS_READ)
head.draw("Mounts", "Which backup target is mounted on which host, and for which backup job.")
flash.show()
# ask
writes = actor.may(Permission.MOUNTS_WRITE)
wanted = filter_bar.ask(act.toolbar if writes else lambda _environment: None)
if guard.allowed(actor, Permission.MOUNTS_WRITE, "mount and unmount"):
    waiting.draw("mounts", wanted.where)
    act.progress()
# load and present
if wanted.view in ("hosts", "targets"):
    place_view.draw(actor, wanted)
elif wanted.view == "operations":
    views.operations(actor, wanted)
else:
    show = views.found_orphans if wanted.view == "orphans" else views.entries
    entry = show(actor, wanted)
    if (entry or "") != st.query_params.get("entry", ""):
        filters.put("entry", entry)
        flash.rerun()  # what is drawn above knows then that a drawer is open, or none any more
    detail_view.entry(actor, wanted, entry)
# act
if writes:
    act.dialogs(wanted)
    host_dialogs.draw(wanted)
