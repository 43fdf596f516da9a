"""How long the portal keeps its data, and whether its proxy protects it."""

from backend.core.access import Permission
from pages.shared import filters
from pages.shell import flash, guard, head
from pages.system import deployment_view, retention_view

VIEWS = {"retention": "Retention", "deployment": "Deployment"}

# gate
actor = guard.require(Permission.RETENTION_READ)
head.draw("System", "How long the portal keeps its data, and whether its proxy protects it.")
flash.show()
# ask
view = filters.view(VIEWS, "retention", key="system.view")
# load, present, act
(retention_view if view == "retention" else deployment_view).show(actor)
