"""The portal and a plain Streamlit app, each in a process of its own, for the benchmarks."""

import contextlib
import os
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures import processes

ROOT = Path(__file__).resolve().parent.parent
STREAMLIT = ROOT / ".venv" / "bin" / "streamlit"
HELLO = 'import streamlit as st\nst.title("Hello world")\nst.text_input("Name")\n'


@dataclass(frozen=True)
class Server:
    """A started server. ready: seconds from its start to its first answer."""

    url: str
    ready: float
    folder: Path


@contextlib.contextmanager
def portal(state: Path, extra: Mapping[str, str] | None = None) -> Iterator[Server]:
    """The portal on a free port with its state in `state`.

    Ready means the same for both sides: Streamlit's own health check answers. (/healthz would
    load the REST API first, which no visitor of a page waits for.)
    """
    variables = {"PORTAL_DATA_DIR": str(state), "PORTAL_LOG_LEVEL": "WARNING", **(extra or {})}
    with _started(ROOT, "app.py", variables) as server:
        yield server


@contextlib.contextmanager
def plain(
    files: Mapping[str, str] | None = None, data: Mapping[str, bytes] | None = None
) -> Iterator[Server]:
    """A Streamlit app of the given files (app.py is the script) with the portal's own config.

    data: further files, beside the script.
    """
    with folder("plain") as home:
        shutil.copytree(ROOT / ".streamlit", home / ".streamlit")
        for name, text in (files or {"app.py": HELLO}).items():
            (home / name).write_text(text)
        for name, content in (data or {}).items():
            (home / name).write_bytes(content)
        with _started(home, "app.py", {}) as server:
            yield server


@contextlib.contextmanager
def folder(name: str) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix=f"portal-bench-{name}-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def _started(home: Path, script: str, extra: Mapping[str, str]) -> Iterator[Server]:
    port = processes.free_port()
    with folder("home") as private:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PORTAL_")},
            "HOME": str(private),
            "DATAHUB_TELEMETRY_ENABLED": "false",
            "PORTAL_PUBLIC_URL": f"http://localhost:{port}",
            **extra,
        }
        begun = time.perf_counter()
        process = processes.Process(
            [str(STREAMLIT), "run", script, "--server.port", str(port)],
            log=private / "log",
            env=environment,
            folder=home,
        )
        try:
            url = f"http://localhost:{port}"
            process.wait_until(lambda: answers(f"{url}/_stcore/health"), seconds=120)
            yield Server(url, time.perf_counter() - begun, private)
        finally:
            process.stop(seconds=20)


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def line(what: str, ours: float, theirs: float, unit: str, limit: str) -> None:
    """One result: both sides, the ratio, and what was promised."""
    ratio = ours / theirs if theirs else float("inf")
    print(f"{what}: {ours:.2f} {unit} against {theirs:.2f} {unit}, ratio {ratio:.2f} ({limit})")
