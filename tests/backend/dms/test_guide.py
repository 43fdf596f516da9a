"""The guide's example runs as it is printed, against a real broker and a real MariaDB."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.backend.dms.test_ledger import DATA, _load

ROOT = Path(__file__).parents[3]


def _example() -> str:
    found = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "mounts.md").read_text(), re.S)
    assert found
    return found.group(1)


def test_the_example_script_runs(
    tmp_path: Path, rabbitmq_url: str, mariadb_url: str, start_responder: Callable[..., Any]
):
    _load(mariadb_url, (DATA / "ledger_schema.sql").read_text())
    server = start_responder(rabbitmq_url)
    script = tmp_path / "backup.py"
    script.write_text(_example())
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DMS_DB_URL": mariadb_url,
            "DMS_RABBITMQ_URL": rabbitmq_url,
            "KEYSTONE_TOKEN": "gAAAAA-token-of-the-example",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "mounted: done (replied)",
        "ledger: job 12345 on compute-01, mounted=True",
        "unmounted: success",
        "backing up to /var/lib/trilio/triliovault-mounts/xxx",
        "history: job 12345, mounted=False",
        "active: 0",
        "deleted: True",
    ]
    assert server.actions == ["mount", "unmount"] * 2
    assert server.requests[0]["keystone_token"] == "gAAAAA-token-of-the-example"


def test_a_refused_mount_is_told_without_a_traceback(
    tmp_path: Path, rabbitmq_url: str, start_responder: Callable[..., Any]
):
    server = start_responder(rabbitmq_url)
    server.mode = "refuse"
    script = tmp_path / "backup.py"
    script.write_text(_example())
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DMS_DB_URL": f"sqlite:///{tmp_path / 'ledger.sqlite'}",
            "DMS_RABBITMQ_URL": rabbitmq_url,
            "KEYSTONE_TOKEN": "gAAAAA-token-of-the-example",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    (told,) = done.stderr.splitlines()
    assert told.endswith("ledger.sqlite was empty; a new, empty ledger is there now.")
    assert "not mounted: Mount failed: permission denied (replied)" in done.stdout
    assert "failed: The mount failed" in done.stdout
