"""The wheel: in an environment of its own, with its three dependencies, the whole guide runs."""

import functools
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.backend.dms.test_ledger import DATA, _load
from tests.fixtures.processes import missing

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "tests" / "fixtures" / "dms_guide.md"
BLOCKS = 36
DEPENDENCIES = ("SQLAlchemy", "PyMySQL", "pika")
pytestmark = pytest.mark.slow


@functools.cache
def _of_ci(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that has the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = _of_ci("wheel").build(folder)
    uv = str(_of_ci("wheel").UV)
    made = folder / "venv" / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, str(folder / "venv")], check=True)
    pinned = [f"{name}=={importlib.metadata.version(name)}" for name in DEPENDENCIES]
    done = subprocess.run(
        [uv, "pip", "install", "-q", "-p", str(made), str(wheel), *pinned],
        env=_of_ci("environment").environment_for_uv(),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    if done.returncode:
        missing("A package index", done.stderr.strip()[-300:])
    return made


def test_the_environment_has_the_three_dependencies_and_nothing_of_the_portal(python: Path):
    script = (
        "import importlib.metadata as m, dms_client\n"
        "print(sorted({d.name.lower() for d in m.distributions()}))\n"
        "print(dms_client.DMSClient.__module__)"
    )
    done = subprocess.run(
        [python, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    names, module = done.stdout.splitlines()
    assert {"dms_client", "pika", "pymysql", "sqlalchemy"} <= {
        name.replace("-", "_") for name in eval(names)
    }
    assert "streamlit" not in names
    assert module == "dms_client.client"


def test_every_block_of_the_guide_runs(
    python: Path,
    tmp_path: Path,
    rabbitmq_url: str,
    mariadb_url: str,
    start_responder: Callable[..., Any],
):
    _load(mariadb_url, (DATA / "ledger_schema.sql").read_text())
    cited = start_responder(rabbitmq_url)
    own = start_responder(rabbitmq_url, os.uname().nodename)
    program = Path(__file__).with_name("guide_program.py")
    done = subprocess.run(
        [python, program, GUIDE, mariadb_url, rabbitmq_url],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "DMS_DB_URL": mariadb_url,
            "DMS_RABBITMQ_URL": rabbitmq_url,
            "KEYSTONE_TOKEN": "gAAAAA-token-of-the-guide",
        },
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-500:]}\n{done.stderr[-3000:]}"
    said = done.stdout.splitlines()
    assert [line for line in said if line.startswith("-- ")][-1] == f"-- {BLOCKS}"
    assert "✓ done" in said
    assert "Mounted at: /var/lib/trilio/triliovault-mounts/xxx" in said
    assert "Backup completed for VM vm-001" in said
    assert "backing up vm-2 to /var/lib/trilio/triliovault-mounts/batch" in said
    assert not [line for line in said if "✗" in line or "failed" in line]
    assert own.actions == ["mount", "unmount"] * 3
    assert cited.actions[:4] == ["mount", "unmount"] * 2
