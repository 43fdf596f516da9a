"""An isolated Python environment per set of packages that recipes need, made by uv.

Below the data folder, in `recipes/`:

    locks/REQUIREMENTS.txt     what uv found for these requirements, hashes included
    environments/LOCK/         one per lock; made beside and renamed when it is whole
    environments/LOCK.held     locked shared while a recipe runs in it, alone while it is made

Whoever is killed in between leaves a folder that nobody uses and the next one removes.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backend.core import trust
from backend.core.errors import JobError
from backend.core.settings import get_settings
from backend.ingestion.child import Child
from backend.jobs.registry import JobContext

UV = Path(sys.executable).parent / "uv"
INSTALL_SECONDS = 1800.0
#: An environment in which nothing ran for so long goes when another one is made.
UNUSED_SECONDS = 30 * 24 * 3600.0
_BUILDING, _GONE = ".building-", ".gone-"
_QUIET = {"DATAHUB_TELEMETRY_ENABLED": "false"}
#: Loads each plugin as `datahub ingest` does; the arguments are KIND:NAME.
_LOADS = """
import sys
from datahub.ingestion.sink.sink_registry import sink_registry
from datahub.ingestion.source.source_registry import source_registry
from datahub.ingestion.transformer.transform_registry import transform_registry
known = {"source": source_registry, "sink": sink_registry, "transformer": transform_registry}
for each in sys.argv[1:]:
    kind, _, name = each.partition(":")
    try:
        known[kind].get(name)
    except Exception as exc:
        sys.exit(f"the {kind} {name} does not load: {exc}")
"""


@contextlib.contextmanager
def ready(
    ctx: JobContext, requirements: Sequence[str], plugins: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    """The command that starts Python in the environment of these requirements, made when it is
    not there yet; nobody removes it within the block.

    plugins: KIND:NAME, each of which has to load before the environment counts. Raises JobError
    when the packages cannot be had, JobCancelled in the middle of it.
    """
    root = get_settings().data_dir / "recipes"
    lock = _locked(ctx, root, requirements)
    folder = root / "environments" / _digest(lock.read_text(encoding="utf-8"), _python())
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".held"), "a+b") as held:
        while True:
            _take(ctx, held.fileno(), fcntl.LOCK_SH)
            if folder.is_dir():
                break
            _take(ctx, held.fileno(), fcntl.LOCK_EX)
            if not folder.is_dir():
                _make(ctx, folder, lock, plugins, held.fileno())
                _drop_unused(folder)
        os.utime(held.fileno())
        yield (str(folder / "bin" / "python"), "-I", "-u")


def _python() -> str:
    return f"{sys.implementation.cache_tag} {sys.platform} {os.uname().machine}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _locked(ctx: JobContext, root: Path, requirements: Sequence[str]) -> Path:
    """The file with every package and its hashes, kept from the first time on."""
    path = root / "locks" / f"{_digest(*requirements, _python())}.txt"
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    ctx.log(f"Looking for the packages of {', '.join(requirements)}")
    ctx.progress(0, note="Looking for the packages")
    with tempfile.TemporaryDirectory(prefix=_BUILDING, dir=path.parent) as name:
        wanted, found = Path(name) / "wanted.in", Path(name) / "found.txt"
        wanted.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        options = ("-q", "--generate-hashes", "--no-header", "--no-annotate")
        _uv(ctx, root, "pip", "compile", *options, "--python", sys.executable,
            "-o", str(found), str(wanted))  # fmt: skip
        found.replace(path)
    return path


def _make(ctx: JobContext, folder: Path, lock: Path, plugins: Sequence[str], held: int) -> None:
    for left in folder.parent.glob(f"{_BUILDING}{folder.name}-*"):
        shutil.rmtree(left, ignore_errors=True)  # of one that was killed; its lock is ours now
    count = len(re.findall(r"^\S+==", lock.read_text(encoding="utf-8"), re.MULTILINE))
    ctx.log(f"Installing {count} packages into an environment of their own")
    beside = Path(tempfile.mkdtemp(prefix=f"{_BUILDING}{folder.name}-", dir=folder.parent))
    root, python = lock.parent.parent, str(beside / "bin" / "python")
    try:
        ctx.progress(0, note=f"Installing {count} packages")
        _uv(ctx, root, "venv", "-q", "--clear", "--relocatable", "-p", sys.executable, str(beside),
            held=held)  # fmt: skip
        _uv(ctx, root, "pip", "install", "--require-hashes", "-p", python, "-r", str(lock),
            held=held)  # fmt: skip
        ctx.progress(0, note="Loading the plugins")
        _run(ctx, (python, "-I", "-c", _LOADS, *plugins), _QUIET | {"HOME": str(beside)}, held)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _uv(ctx: JobContext, root: Path, *arguments: str, held: int | None = None) -> None:
    """uv with its own settings (index, credentials, cache) and no secret of the portal."""
    own = {key: value for key, value in os.environ.items() if key.startswith("UV_")}
    own |= {key: os.environ[key] for key in ("HOME", "XDG_CONFIG_HOME") if key in os.environ}
    own.setdefault("UV_CACHE_DIR", str(root / "cache"))
    if "SSL_CERT_FILE" not in os.environ:
        own["SSL_CERT_FILE"] = trust.DEFAULT.bundle()
    own |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    _run(ctx, (str(UV), *arguments), own, held)


def _run(
    ctx: JobContext, command: Sequence[str], environment: Mapping[str, str], held: int | None
) -> None:
    last = ""
    descriptors = () if held is None else (held,)
    with Child(command, environment=environment, held=descriptors) as child:
        for line in child.lines(ctx, seconds=INSTALL_SECONDS):
            ctx.log(line)
            ctx.progress(0, note=line[:200])
            last = line.strip() or last
    if child.status != 0:
        raise JobError(
            f"The packages of the recipe could not be installed: {last[:300]}. Nothing ran; "
            "the log has the lines of the installer."
        )


def _take(ctx: JobContext, descriptor: int, how: int) -> None:
    """Wait for a lock; a job that waits can be cancelled."""
    said = False
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not said:
                ctx.log("Another job makes this environment; waiting for it.")
            said = True
            ctx.check_cancelled()
            time.sleep(0.5)
        except OSError as exc:
            raise JobError(
                f"The data folder's file system knows no locks ({exc.strerror}), without which "
                "two jobs would install into each other. Put PORTAL_DATA_DIR on another one."
            ) from exc


def _drop_unused(besides: Path) -> None:
    before = time.time() - UNUSED_SECONDS
    for mark in besides.parent.glob("*.held"):
        folder = mark.with_suffix("")
        if folder == besides or not folder.is_dir() or mark.stat().st_mtime > before:
            continue
        with open(mark, "a+b") as held, contextlib.suppress(BlockingIOError):
            fcntl.flock(held.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Renamed first: half of it must not be taken for the whole.
            folder.rename(folder.with_name(f"{_GONE}{time.time_ns()}"))
    for gone in besides.parent.glob(f"{_GONE}*"):
        shutil.rmtree(gone, ignore_errors=True)
