"""Environments of recipes by the real uv, from a package index that answers when the test says so.

The only package there brings DataHub's registries, so that its plugin loads. What is cancelled or
killed in the middle of a download leaves nothing that a second run could take for the whole.
"""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backend.core.settings import get_settings
from backend.ingestion import recipe_packages
from tests.backend.ingestion.test_recipe_packages import cancelled, environments, until
from tests.fixtures.processes import missing
from tests.fixtures.recipes import Ctx

WHEEL = "demo-1-py3-none-any.whl"
METADATA = "Metadata-Version: 2.1\nName: demo\nVersion: 1\n"
REGISTRIES = {
    "sink/sink_registry": "sink_registry",
    "source/source_registry": "source_registry",
    "transformer/transform_registry": "transform_registry",
}


def _wheel(folder: Path) -> bytes:
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w") as made:
        for module, name in REGISTRIES.items():
            made.writestr(f"datahub/ingestion/{module}.py", f"{name} = {{'demo': 1}}\n")
        made.writestr("demo-1.dist-info/METADATA", METADATA)
        made.writestr(
            "demo-1.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        names = [*made.namelist(), "demo-1.dist-info/RECORD"]
        made.writestr("demo-1.dist-info/RECORD", "".join(f"{name},,\n" for name in names))
    return path.read_bytes()


class Index:
    """A package index with one wheel, of which it sends a half until `whole` is set."""

    def __init__(self, folder: Path) -> None:
        self.whole, self.asked = threading.Event(), threading.Event()
        wheel = _wheel(folder)
        link = f"/{WHEEL}#sha256={hashlib.sha256(wheel).hexdigest()}"
        page = f'<a href="{link}" data-dist-info-metadata="true">{WHEEL}</a>'
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                said = {
                    "/index/demo/": page.encode(),
                    f"/{WHEEL}.metadata": METADATA.encode(),
                    f"/{WHEEL}": wheel,
                }.get(self.path)
                self.send_response(404 if said is None else 200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(said or b"")))
                self.end_headers()
                if said is wheel:
                    self.wfile.write(wheel[:100])
                    self.wfile.flush()
                    index.asked.set()
                    index.whole.wait()
                    said = wheel[100:]
                self.wfile.write(said or b"")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # uv went away
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/index/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.whole.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    if not recipe_packages.UV.is_file():
        missing("uv", f"there is no {recipe_packages.UV.name} beside Python")
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    made = Index(tmp_path)
    monkeypatch.setenv("UV_DEFAULT_INDEX", made.url)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "300")
    monkeypatch.setenv("PORTAL_DATA_DIR", str(tmp_path / "state"))
    get_settings.cache_clear()
    try:
        yield made
    finally:
        made.close()


def use(ctx: Ctx) -> Path:
    """The environment, after what was to be installed is there."""
    with recipe_packages.ready(ctx, ("demo==1",), ("source:demo", "sink:demo")) as command:
        said = subprocess.run(
            [*command, "-c", "from importlib.metadata import version as v; print(v('demo'))"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout == "1\n"
        return Path(command[0]).parents[1]


def installers() -> list[int]:
    """Processes of uv that install below this test's data folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            said = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        here = str(get_settings().data_dir).encode()
        if b"install" in said and any(part.startswith(here) for part in said):
            found.append(int(folder.name))
    return found


@pytest.mark.slow
def test_an_installation_that_is_cancelled_leaves_nothing(index: Index) -> None:
    ctx = Ctx()
    assert cancelled(ctx, use, lambda: index.asked.is_set() and len(installers()) == 1), ctx.lines
    assert environments() == []
    assert installers() == []
    index.whole.set()
    assert [use(Ctx()).name] == environments()


@pytest.mark.slow
def test_what_a_killed_worker_left_half_made_is_not_used(index: Index) -> None:
    """kill -9: uv goes on and keeps the lock, the next one waits for it and makes its own."""
    script = "from tests.backend.ingestion.test_recipe_real_uv import Ctx, use\nuse(Ctx())\n"
    killed = subprocess.Popen([sys.executable, "-c", script])
    until(index.asked.is_set)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(timeout=60)
    assert len(installers()) == 1
    [half] = environments()
    ctx, made = Ctx(), list[Path]()
    worker = threading.Thread(target=lambda: made.append(use(ctx)))
    worker.start()
    until(lambda: "Another job makes this environment; waiting for it." in ctx.lines)
    assert environments() == [half]
    index.whole.set()
    worker.join(timeout=60)
    assert environments() == [made[0].name]
    assert made[0].name != half
    assert installers() == []
