"""No server outlives the tests, also when the test process is killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.fixtures import processes
from tests.fixtures.processes import Process, ServerUnavailable

_HOLDER = """
import sys, time
from tests.fixtures.{module} import {name}
from tests.fixtures.processes import ServerUnavailable
try:
    server = {name}.launch()
except ServerUnavailable as exc:
    print("none", exc, flush=True)
    sys.exit()
print(server.port, flush=True)
time.sleep(600)
"""


def _closed(port: int, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not processes.listens("127.0.0.1", port):
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def open_folder():
    """For what a killed process leaves behind; PostgreSQL's own user must get into it."""
    folder = processes.private_folder("killed")
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("postgres", "PostgresServer"),
        ("mariadb", "MariaDBServer"),
        ("rabbitmq", "RabbitMQServer"),
    ],
)
def test_a_killed_test_process_takes_its_server_along(module, name, open_folder):
    if not sys.platform.startswith("linux"):
        pytest.skip("the parent death signal is Linux's")
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER.format(module=module, name=name)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(open_folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        answer = holder.stdout.readline().strip()
        if answer.startswith("none"):
            processes.missing(name, answer)
        assert processes.listens("127.0.0.1", int(answer))
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    assert _closed(int(answer))


def test_a_process_that_ends_at_once_tells_its_last_words(tmp_path: Path):
    process = Process(["sh", "-c", "echo no such disk; exit 3"], log=tmp_path / "log")
    with pytest.raises(ServerUnavailable, match="no such disk"):
        process.wait_until(lambda: False)


def test_stop_ends_children_too(tmp_path: Path):
    process = Process(["sh", "-c", "sleep 600 & echo $! > child; wait"], log=tmp_path / "log")
    child = tmp_path / "child"
    process.wait_until(lambda: child.exists() and child.read_text().strip() != "", seconds=60)
    process.stop()
    pid = int(child.read_text())
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.05)
    assert not _alive(pid)


def test_a_port_is_given_to_one_process_of_the_suite_at_a_time(monkeypatch):
    """Also while nobody listens on it: a server that is started again finds it free."""
    if not sys.platform.startswith("linux"):
        pytest.skip("names that end with their process are Linux's")
    ask = "from tests.fixtures import processes; print(processes.free_port()); input()"
    command = [sys.executable, "-c", ask]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        port = int(other.stdout.readline())
        monkeypatch.setattr(processes, "_PORTS", [port] * 200)
        with pytest.raises(ServerUnavailable, match="no free port"):
            processes.free_port()
        other.communicate("\n")
    assert processes.free_port() == port
    with pytest.raises(ServerUnavailable, match="no free port"):  # nor to this one twice
        processes.free_port()


def test_a_missing_server_is_a_failure_in_ci(monkeypatch):
    monkeypatch.setattr(processes, "IN_CI", True)
    with pytest.raises(pytest.fail.Exception, match="RabbitMQ is not available: none here"):
        processes.missing("RabbitMQ", "none here")
    monkeypatch.setattr(processes, "IN_CI", False)
    with pytest.raises(pytest.skip.Exception, match="none here"):
        processes.missing("RabbitMQ", "none here")


def _alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
