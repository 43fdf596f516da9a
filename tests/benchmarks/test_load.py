"""The combined load with small amounts: the command works, and nothing is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_everything_at_once_ends_without_error_and_without_a_lost_write(tmp_path: Path) -> None:
    environ = {**os.environ, "HOME": str(tmp_path), "DATAHUB_TELEMETRY_ENABLED": "false"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", "--small"],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=380, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Errors: none." in done.stdout
    assert "**NO**" not in done.stdout
    assert "| users applied | 50 | 50 changed once | yes |" in done.stdout
