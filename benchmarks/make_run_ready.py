"""`make run` in a fresh copy of the tree, until the portal answers; then once more.

Promise: under 60 s on a warm package cache, under 10 s the second time.

    python -m benchmarks.make_run_ready [--cold]     # --cold: with empty package caches, too
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import _servers
from tests.architecture.source import ROOT, tracked_files
from tests.fixtures import processes

FIRST, SECOND = 60.0, 10.0


def main() -> None:
    _measure("warm package cache", {})
    if "--cold" in sys.argv:
        with _servers.folder("caches") as caches:
            _measure("cold package cache", {"UV_CACHE_DIR": str(caches), "PIP_NO_CACHE_DIR": "1"})


def _measure(what: str, extra: dict[str, str]) -> None:
    with _servers.folder("checkout") as checkout:
        for path in tracked_files():
            target = checkout / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        first = _run(checkout, extra)
        second = _run(checkout, extra)
    _servers.line(f"make run, first time, {what}", first, FIRST, "s", "promised: at most 1")
    _servers.line(f"make run, second time, {what}", second, SECOND, "s", "promised: at most 1")


def _run(checkout: Path, extra: dict[str, str]) -> float:
    """Seconds until both the page and /healthz answer."""
    port = processes.free_port()
    begun = time.perf_counter()
    process = processes.Process(
        [shutil.which("make") or "make", "run", f"PORT={port}"],
        log=checkout / "make-run.log",
        env={k: v for k, v in {**os.environ, **extra}.items() if k != "VIRTUAL_ENV"},
        folder=checkout,
    )
    try:
        url = f"http://localhost:{port}"
        process.wait_until(
            lambda: _servers.answers(f"{url}/healthz") and _servers.answers(url), seconds=900
        )
        return time.perf_counter() - begun
    finally:
        process.stop(seconds=20)


if __name__ == "__main__":
    if subprocess.run(["make", "--version"], capture_output=True, check=False).returncode:
        sys.exit("make is not installed")
    main()
