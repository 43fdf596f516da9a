"""The DMS client library: mounts backup targets through DMS servers and keeps their ledger.

Usable without the portal:

    from backend.dms.client import DMSClient, MountContext

    client = DMSClient(db_url=..., rabbitmq_url=..., timeout=...)
    client.mount(request)            -> {"status", "error_msg", "success_msg", "outcome"}
    client.unmount(request)          -> the same
    client.get_mount_status(job_id, backup_target_id)          -> LedgerEntry | None
    client.get_active_mounts(host=None, backup_target_id=None) -> list[LedgerEntry]
    client.get_ledger_history(backup_target_id, limit=100)     -> list[LedgerEntry]
    client.soft_delete_entry(job_id, backup_target_id)         -> bool
    client.recheck(operation_id, request=None)                 -> the same shape as mount
    client.close()

`rabbitmq_url` takes amqp:// and amqps:// addresses, and `memory://NAME` for the in-memory
transport of the sandbox and of tests.
"""
