"""What the Makefile passes on."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not on this machine")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "http://localhost:9123"),
        ("https://portal.example.org", "https://portal.example.org"),
    ],
)
def test_links_lead_to_the_port_that_was_asked_for(
    given: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$PORTAL_PUBLIC_URL $*"\n')
    python.chmod(0o755)
    ready = tmp_path / ".venv" / ".ready"
    for name in ("requirements.txt", "requirements-build.txt", ".ci/environment.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    ready.touch()
    # The suite itself runs under make, which hands its own flags down.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), "run", "PORT=9123"],
        cwd=tmp_path,
        env={**environ, "PORTAL_PUBLIC_URL": given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [expected, "-m", "auth.serve", "--server.port", "9123"]
