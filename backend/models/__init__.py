"""Every table of the state database; importing this module makes `Base.metadata` complete."""

from backend.core.audit import AuditEvent, AuditHead
from backend.core.secret_store import SystemSecret
from backend.models.jobs import Job, JobLine, Lease, ScheduleMark

__all__ = ["AuditEvent", "AuditHead", "Job", "JobLine", "Lease", "ScheduleMark", "SystemSecret"]
