"""See what is mounted where, find orphans, mount and unmount."""

from backend.core.access import Permission
from pages.mounts import action_dialogs as act
from pages.mounts import detail_view, filter_bar, release_dialog, views
from pages.shared import waiting
from pages.shell import flash, guard, head

# gate
actor = guard.require(Permission.MOUNTS_READ)
head.draw("Mounts", "Which backup target is mounted on which host, and for which backup job.")
flash.show()
# ask
wanted = filter_bar.ask()
if guard.allowed(actor, Permission.MOUNTS_WRITE, "mount and unmount"):
    waiting.draw("mounts", wanted.where)
    act.toolbar(wanted)
    act.progress()
# load and present
if wanted.view == "operations":
    views.operations(actor, wanted)
else:
    show = views.found_orphans if wanted.view == "orphans" else views.entries
    entry = show(actor, wanted)
    filter_bar.put("entry", str(entry or ""))
    detail_view.entry(actor, wanted, entry)
# act
if actor.may(Permission.MOUNTS_WRITE):
    act.dialogs(wanted)
    release_dialog.draw(wanted)
