# ruff: noqa: T201 - what it prints is read by the test
"""Runs every block of the guide, in its order and in one namespace, with the installed wheel.

Arguments: the guide, then the two addresses that stand for those printed in it.
"""

import logging
import os
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dms_client

guide, db_url, rabbitmq_url = sys.argv[1:4]
assert "site-packages" in str(dms_client.__file__), "the wheel, not a checkout"

TARGET = {
    "id": "target-batch",
    "type": "nfs",
    "filesystem_export": "192.168.1.100:/backups",
    "filesystem_export_mount_path": "/var/lib/trilio/triliovault-mounts/batch",
}


def prepare_request(vm: str) -> dict[str, Any]:
    job = {"jobid": 20000 + int(vm.rpartition("-")[2])}
    request = {"context": {"user_id": vm}, "keystone_token": "t", "job": job}
    return {**request, "host": os.uname().nodename, "backup_target": TARGET}


#: What the guide uses and never defines.
space: dict[str, Any] = {
    **{name: getattr(dms_client, name) for name in dms_client.__all__ if name != "DMSClient"},
    "perform_backup": lambda path: print(f"backing up to {path}"),
    "backup_vm": lambda vm, path: print(f"backing up {vm} to {path}"),
    "path": "/var/lib/trilio/triliovault-mounts/xxx",
    "vms": ["vm-1", "vm-2"],
    "prepare_request": prepare_request,
    "logger": logging.getLogger("guide"),
    "notify_admin": print,
    "job_id": 12345,
    "target_id": "target-123",
    "datetime": datetime,
    "timedelta": timedelta,
}
blocks = re.findall(r"```python\n(.*?)```", Path(guide).read_text(encoding="utf-8"), re.S)
for number, block in enumerate(blocks, 1):
    block = re.sub(r"mysql\+pymysql://user:pass@\w+/\w+", db_url, block)
    block = block.replace("amqp://user:pass@localhost:5672", rabbitmq_url)
    block = block.replace("amqp://user:pass@host:5672", rabbitmq_url)
    print(f"-- {number}", flush=True)
    code = compile(block.replace("trilio_dms.client", "dms_client"), f"block {number}", "exec")
    exec(code, space)
