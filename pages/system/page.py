"""How this portal is run: what it keeps for how long."""

from backend.core.access import Permission
from pages.shell import flash, guard, head
from pages.system import retention_view

# gate
actor = guard.require(Permission.RETENTION_READ)
head.draw("System", "How this portal is run: what it keeps, for how long.")
flash.show()
# load, present, act
retention_view.show(actor)
