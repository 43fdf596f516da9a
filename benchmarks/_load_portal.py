"""The portal under load: its process, its configuration through the command line, its people."""

import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import _load_standins, _servers
from benchmarks._load_parts import Parts
from benchmarks._load_size import Size
from tests.fixtures import processes

ENVIRONMENT = "load"
ROLES = ("viewer", "steward", "operator", "viewer", "operator", "steward", "viewer", "viewer")
ADMIN_EVERY = 10
_TROUBLE = re.compile(
    r"^Traceback|\"level\": \"(error|critical)\"|database is locked|refused a statement|"
    r"could not be (written|recorded)"
)
_WARNING = re.compile(r"\"level\": \"warning\"")


@dataclass(frozen=True)
class Member:
    """A signed-in person. cookie: the Cookie header of their browser."""

    name: str
    role: str
    cookie: str


@dataclass
class Portal:
    """The running process. peaks: its highest memory, threads and open files while watched."""

    url: str
    process: processes.Process
    peaks: dict[str, int] = field(default_factory=dict)

    def cli(self, *arguments: str, stdin: str = "") -> str:
        """`python -m backend …`, run in this process to save ten starts of Python.

        Raises RuntimeError with its words when it fails.
        """
        from typer.testing import CliRunner

        from backend.cli.main import app

        done = CliRunner().invoke(app, arguments, input=stdin)
        if done.exit_code:
            words = done.exception or done.output[-800:]
            raise RuntimeError(f"{' '.join(arguments[:4])}: {words}")
        return done.stdout

    def now(self) -> dict[str, int]:
        """Threads, open files, memory (MB) and peak memory of the process at this moment."""
        home = Path("/proc") / str(self.process.pid)
        text = (home / "status").read_text()
        read = {k: int(v) for k, v in re.findall(r"^(Threads|VmRSS|VmHWM):\s+(\d+)", text, re.M)}
        return {
            "threads": read["Threads"],
            "files": len(os.listdir(home / "fd")),
            "memory": read["VmRSS"] // 1024,
            "peak": read["VmHWM"] // 1024,
        }

    def trouble(self) -> list[str]:
        """Lines of the log that tell of an error."""
        return [line for line in self._lines() if _TROUBLE.search(line)]

    def warnings(self) -> dict[str, int]:
        """Warnings of the log, by their sentence."""
        said = [json.loads(line)["event"] for line in self._lines() if _WARNING.search(line)]
        return dict(Counter(said))

    def _lines(self) -> list[str]:
        return self.process.log.read_text(errors="replace").splitlines()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep the highest figures of the block in `peaks`."""
        done = threading.Event()

        def look() -> None:
            while not done.wait(0.5):
                for name, value in self.now().items():
                    self.peaks[name] = max(value, self.peaks.get(name, 0))

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@contextmanager
def running(folder: Path) -> Iterator[Portal]:
    """As `make run` starts it, on a private port, without sandbox."""
    port = processes.free_port()
    environ = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PORTAL_", "AWS_"))},
        "HOME": str(folder),
        "DATAHUB_TELEMETRY_ENABLED": "false",
        "PORTAL_DATA_DIR": str(folder / "state"),
        "PORTAL_ADMIN_PASSWORD": "a long pass phrase of the load",
        "PORTAL_PUBLIC_URL": f"http://localhost:{port}",
        "PORTAL_SANDBOX": "off",
        "PORTAL_LOG_LEVEL": "INFO",
    }
    process = processes.Process(
        [str(_servers.STREAMLIT), "run", "app.py", "--server.port", str(port)],
        log=folder / "portal.log", env=environ, folder=_servers.ROOT,
    )  # fmt: skip
    url = f"http://localhost:{port}"
    try:
        process.wait_until(lambda: _servers.answers(f"{url}/healthz"), seconds=120)
        os.environ.update({k: v for k, v in environ.items() if k.startswith("PORTAL_")})
        yield Portal(url, process)
    finally:
        process.stop(seconds=30)


def configure(portal: Portal, parts: Parts) -> None:
    """One environment with all connections, and the mapping, through the command line."""
    portal.cli("environments", "add", ENVIRONMENT, "--default")
    for item in _connections(parts):
        _connect(portal, *item)
    rules = json.dumps({"default": _load_standins.FUNCTION})
    portal.cli("ingest", "mapping", "import", "-", stdin=rules)


def _connections(parts: Parts) -> list[tuple[str, Mapping[str, str], Mapping[str, str]]]:
    source, told = parts.database, parts.addresses
    reached = {"host": source.host, "port": str(source.port), "database": parts.database_name}
    return [
        ("ledger", {"url": parts.ledger}, {}),
        ("rabbitmq", {"url": parts.broker}, {}),
        ("postgres", {**reached, "user": source.user}, {"password": source.password}),
        (
            "openmetadata",
            {"host_port": parts.openmetadata["url"]},
            {"jwt_token": parts.openmetadata["token"]},
        ),
        ("directory", {"endpoint": parts.directory["url"]}, {}),
        ("datahub", {"server": told["datahub"]}, {"token": _load_standins.TOKEN}),
        ("aws", told["aws_settings"], told["aws_secrets"]),
    ]


def _connect(
    portal: Portal, kind: str, settings: Mapping[str, str], secrets: Mapping[str, str]
) -> None:
    pairs = [f"{name}={value}" for name, value in settings.items()]
    sealed = [part for name in secrets for part in ("--secret", name)]
    stdin = "".join(f"{value}\n" for value in secrets.values())
    portal.cli("connections", "set", ENVIRONMENT, kind, *pairs, *sealed, stdin=stdin)


def people(size: Size) -> tuple[list[Member], dict[str, list[str]]]:
    """Signed-in accounts with cookies, and API tokens per role.

    Made through the services on the state database, as no test needs bcrypt fifty times.
    """
    from auth import cookies
    from backend.accounts import api_tokens, service, sessions
    from backend.core.access import SYSTEM, Role
    from backend.core.database import get_database

    database = get_database()
    members, tokens = [], dict[str, list[str]]()
    with database.write() as session:
        for number in range(size.people):
            role = "admin" if number % ADMIN_EVERY == 0 else ROLES[number % len(ROLES)]
            name = f"person-{number:02}@example.org"
            account = service.add_account(
                session, SYSTEM, name=name, role=Role(role), stored="no password"
            )
            raw = sessions.open_session(
                session, account_id=account.id, address="127.0.0.1", user_agent="load"
            )
            members.append(Member(name, role, f"{cookies.session_name()}={raw}"))
        for number in range(size.tokens):
            role = ("operator", "operator", "steward", "admin")[number % 4]
            made = api_tokens.add(session, SYSTEM, name=f"client-{number:02}", role=role)
            tokens.setdefault(role, []).append(made.raw)
        made = api_tokens.add(session, SYSTEM, name="nightly jobs", role="steward")
        tokens["jobs"] = [made.raw]
    return members, tokens


def settle(portal: Portal, seconds: float) -> dict[str, int]:
    """The process's figures after a quiet while."""
    time.sleep(seconds)
    return portal.now()


def audit(portal: Portal) -> dict[str, Any]:
    """What `audit verify` says."""
    found: dict[str, Any] = json.loads(portal.cli("audit", "verify", "--json"))
    return found
