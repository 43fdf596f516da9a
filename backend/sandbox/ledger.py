"""The sandbox's mount ledger: a SQLite file with months of history and orphans of each kind."""

import json
import random
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from backend.core import clock
from backend.dms import schema
from backend.dms.ledger import Ledger
from backend.sandbox.dms_agent import FAILING_TARGET, GONE_HOST, HOSTS, IDLE_HOST
from backend.sandbox.parts import Part

FILE = "ledger.sqlite"
DAYS = 120
TARGETS = (
    "s3-prod-eu",
    "s3-prod-us",
    "s3-longterm",
    "nfs-vault-a",
    "nfs-vault-b",
    "nfs-branch-offices",
    FAILING_TARGET,
)


def start(folder: Path) -> Part:
    """The ledger file, seeded once; it keeps what people did in it."""
    path = folder / FILE
    url = f"sqlite:///{path.absolute()}"
    if not path.exists():
        # Under its name when it is full: a start may be given up, or killed, half-way.
        new = path.with_suffix(".new")
        for left in folder.glob(f"{new.name}*"):  # SQLite's own log beside it, too
            left.unlink()
        seed(f"sqlite:///{new.absolute()}")
        new.rename(path)
    return Part(kind="ledger", settings={"url": url})


def seed(url: str, *, entries: int = 4_000, now: datetime | None = None) -> None:
    """Fill an empty ledger: finished mounts over 120 days, live ones, and one orphan per reason."""
    moment = (now or clock.now()).replace(tzinfo=None, microsecond=0)
    ledger = Ledger(url, new=True)
    ledger.ensure_operations()
    rows = [*_history(entries, moment), *_live(moment), *_orphans(moment)]
    rows.sort(key=lambda row: row["created_at"])

    def fill(connection: Any) -> None:
        connection.execute(insert(schema.ledger), rows)
        connection.execute(insert(schema.operation), _operations(moment))

    ledger.write(fill)
    ledger.close()


def _entry(
    jobid: int,
    target: str,
    host: str,
    created: datetime,
    *,
    ended: datetime | None = None,
    deleted: bool = False,
) -> dict[str, Any]:
    return {
        "created_at": created,
        "updated_at": ended or created,
        "deleted_at": ended if deleted else None,
        "deleted": deleted,
        "version": "1.0",
        "backup_target_id": target,
        "jobid": jobid,
        "host": host,
        "mounted": ended is None,
    }


def _history(entries: int, now: datetime) -> list[dict[str, Any]]:
    chance = random.Random(20)
    weights = [9, 7, 5, 4, 3, 2, 1]
    rows = []
    for number in range(entries):
        # More backups at night, fewer at the weekend, slowly growing over the months.
        age = DAYS * (1 - chance.random() ** 0.8)
        created = now - timedelta(days=age, hours=1)
        ended = min(created + timedelta(minutes=chance.lognormvariate(5.2, 0.7)), now)
        rows.append(
            _entry(
                10_000 + number // 2,
                chance.choices(TARGETS, weights)[0],
                chance.choice(HOSTS[:6] + HOSTS),
                created,
                ended=ended,
                deleted=chance.random() < 0.1,
            )
        )
    return rows


def _live(now: datetime) -> list[dict[str, Any]]:
    """Mounts of jobs that run now; some targets are shared by several jobs."""
    chance = random.Random(7)
    return [
        _entry(
            20_000 + number,
            TARGETS[number % 5],
            HOSTS[number % 6],
            now - timedelta(minutes=chance.randint(3, 600)),
        )
        for number in range(24)
    ]


def _orphans(now: datetime) -> list[dict[str, Any]]:
    day = timedelta(days=1)
    deleted = _entry(20_104, "s3-longterm", HOSTS[4], now - 0.3 * day)
    deleted.update(deleted=True, deleted_at=now - 0.2 * day)
    return [
        _entry(20_100, "s3-prod-eu", HOSTS[0], now - 3.2 * day),  # older than a day
        _entry(20_101, "nfs-vault-a", HOSTS[1], now - 9 * day),
        _entry(20_102, "nfs-vault-b", IDLE_HOST, now - 0.2 * day),  # its server is down
        _entry(20_103, "s3-prod-us", GONE_HOST, now - 41 * day),  # no queue, not seen for weeks
        deleted,  # soft-deleted while mounted
        _entry(20_105, "s3-prod-eu", HOSTS[2], now - 0.4 * day),  # the same job twice
        _entry(20_105, "s3-prod-eu", HOSTS[2], now - 0.1 * day),
        _entry(20_106, "nfs-branch-offices", HOSTS[3], now - 0.15 * day),  # see _operations
    ]


def _operations(now: datetime) -> list[dict[str, Any]]:
    unknown = _operation(20_106, "nfs-branch-offices", HOSTS[3], now - timedelta(hours=2))
    unknown.update(action="unmount", state="unknown", note="no answer within 300 s")
    failed = _operation(19_990, FAILING_TARGET, HOSTS[1], now - timedelta(hours=5))
    failed.update(
        state="failed",
        replies=1,
        reply='{"status": "error", "error_msg": "Mount failed: permission denied", '
        '"success_msg": null}',
    )
    absent = _operation(20_102, "nfs-vault-b", IDLE_HOST, now - timedelta(hours=1))
    absent.update(
        action="unmount",
        state="not_delivered",
        note=f"nobody reads the queue dms.{IDLE_HOST}; the DMS server on {IDLE_HOST} is down",
    )
    good = [
        _operation(20_000 + n, TARGETS[n % 5], HOSTS[n % 6], now - timedelta(minutes=40 + 9 * n))
        for n in range(12)
    ]
    for operation in good:
        operation.update(
            state="succeeded",
            replies=1,
            reply='{"status": "success", "error_msg": null, "success_msg": "mounted"}',
        )
    records = sorted([unknown, failed, absent, *good], key=lambda o: o["created_at"])
    return records


def _operation(jobid: int, target: str, host: str, at: datetime) -> dict[str, Any]:
    return {
        "operation_id": str(uuid.uuid4()),
        "owner": "sandbox",
        "actor": "backup scheduler",
        "action": "mount",
        "backup_target_id": target,
        "host": host,
        "jobid": jobid,
        "state": "succeeded",
        "request": json.dumps(_request(jobid, target, host)),
        "replies": 0,
        "reply": None,
        "note": None,
        "created_at": at,
        "finished_at": at + timedelta(seconds=2),
    }


def _request(jobid: int, target: str, host: str) -> dict[str, Any]:
    """A request as it is stored: complete, its secrets masked."""
    nfs = target.startswith("nfs")
    return {
        "context": {"user_id": "backup-scheduler", "tenant_id": "demo"},
        "keystone_token": "***",
        "job": {"jobid": jobid, "progress": 0, "status": "running", "action": "backup"},
        "host": host,
        "action": "mount",
        "backup_target": {
            "id": target,
            "deleted": False,
            "type": "nfs" if nfs else "s3",
            "filesystem_export": f"nas.example.org:/exports/{target}" if nfs else None,
            "filesystem_export_mount_path": f"/var/lib/trilio/triliovault-mounts/{target}",
            "status": "available",
            "secret_ref": None if nfs else "***",
            "nfs_mount_opts": "rw,hard" if nfs else None,
        },
    }
