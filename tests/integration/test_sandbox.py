"""The sandbox's own process: every part starts, and none outlives the portal."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backend.connections.kinds import get_kind
from backend.sandbox import process
from backend.sandbox.embedded_postgres import reachable_folder

ROOT = Path(__file__).resolve().parents[2]
PORTAL_THAT_DIES = """
import sys, time
from pathlib import Path
from backend.sandbox import process
from backend.sandbox.embedded_postgres import reachable_folder
child = process.launch(Path(sys.argv[1]))
print([c["settings"]["port"] for c in child.report["connections"] if c["kind"] == "postgres"][0])
print(child.process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[process.Child]:
    child = process.launch(tmp_path / "sandbox")
    yield child
    child.stop()
    forget(tmp_path / "sandbox")


def forget(folder: Path) -> None:
    """What PostgreSQL kept elsewhere because `nobody` cannot walk into a test's folder."""
    shutil.rmtree(reachable_folder(folder / "postgres"), ignore_errors=True)


def _listens(address: str) -> bool:
    parts = urlsplit(address if "//" in address else f"//{address}")
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((parts.hostname or "127.0.0.1", parts.port or 0)) == 0


def _addresses(report: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    found = []
    for connection in report["connections"]:
        settings = connection["settings"]
        for value in settings.values():
            if value.startswith("http"):
                found.append(value)
        if "port" in settings:
            found.append(f"127.0.0.1:{settings['port']}")
    return found


@pytest.mark.slow
class TestSandboxProcess:
    def test_every_part_starts_and_stops_with_it(self, child: process.Child) -> None:
        assert child.report["problems"] == []
        kinds = {connection["kind"] for connection in child.report["connections"]}
        assert kinds == {
            *("datahub", "openmetadata", "directory", "ledger", "rabbitmq", "postgres", "aws")
        }
        for connection in child.report["connections"]:
            kind = get_kind(connection["kind"])
            assert set(connection["settings"]) <= {field.name for field in kind.settings}
        addresses = _addresses(child.report)
        assert len(addresses) >= 5
        assert all(_listens(address) for address in addresses)
        child.stop()
        assert not any(_listens(address) for address in addresses)

    def test_what_people_did_in_it_survives_a_restart(self, tmp_path: Path) -> None:
        folder = tmp_path / "sandbox"
        passwords, addresses = [], []
        for _ in range(2):
            child = process.launch(folder)
            addresses.append(_addresses(child.report))
            passwords += [
                connection["secrets"]["password"]
                for connection in child.report["connections"]
                if connection["kind"] == "postgres"
            ]
            child.stop()
        forget(folder)
        assert passwords[0] == passwords[1]
        assert addresses[0] == addresses[1]  # plans and links made before stay good

    def test_nothing_outlives_a_portal_that_was_killed(self, tmp_path: Path) -> None:
        portal = subprocess.Popen(
            [sys.executable, "-c", PORTAL_THAT_DIES, str(tmp_path / "sandbox")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert portal.stdout is not None
        port = portal.stdout.readline().strip()
        assert portal.stdout.readline().strip().isdigit()
        assert _listens(f"127.0.0.1:{port}")
        portal.send_signal(signal.SIGKILL)
        portal.wait(60)
        portal.stdout.close()
        deadline = time.monotonic() + 60
        while _listens(f"127.0.0.1:{port}"):
            assert time.monotonic() < deadline, "PostgreSQL outlived its portal"
            time.sleep(0.2)
        forget(tmp_path / "sandbox")
