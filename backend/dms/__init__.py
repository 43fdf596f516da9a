"""The DMS client library: mounts backup targets through DMS servers and keeps their ledger.

It imports nothing but the standard library, SQLAlchemy, PyMySQL and pika, and is also built as the
wheel `dms_client` (`make wheel`):

    from dms_client import DMSClient, MountContext

    client = DMSClient(db_url=..., rabbitmq_url=..., timeout=...)
    client.mount(request)            -> {"status", "error_msg", "success_msg", "outcome"}
    client.unmount(request)          -> the same
    client.get_mount_status(job_id, backup_target_id)          -> LedgerEntry | None
    client.get_active_mounts(host=None, backup_target_id=None) -> list[LedgerEntry]
    client.get_ledger_history(backup_target_id, limit=100)     -> list[LedgerEntry]
    client.soft_delete_entry(job_id, backup_target_id)         -> bool
    client.recheck(operation_id, request=None)                 -> the same shape as mount
    client.verify(request)                                     -> the same, and a verdict
    client.close()
"""

from .client import DMSClient
from .context import MountContext
from .entries import LedgerEntry
from .errors import (
    DatabaseException,
    DMSClientException,
    RabbitMQException,
    RequestTimeoutException,
    RequestValidationException,
)

__all__ = [
    "DMSClient",
    "DMSClientException",
    "DatabaseException",
    "LedgerEntry",
    "MountContext",
    "RabbitMQException",
    "RequestTimeoutException",
    "RequestValidationException",
]
