"""The lock installs, whole, in an empty environment, from the package index alone."""

import json
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.fixtures.lock import installer_environment

BIN = Path(sys.executable).parent


def _version(found: dict[str, Distribution], name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in found[name].version.split(".")[:2])


@pytest.fixture(scope="module")
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without pip, as in the image: nothing of the portal may count on what pip brings along."""
    folder = tmp_path_factory.mktemp("lock") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    done = subprocess.run(
        [
            str(BIN / "uv"),
            *("pip", "install", "--quiet", "--python", str(folder / "bin" / "python")),
            *("-r", str(ROOT / "requirements.txt")),
        ],
        env={**installer_environment(), "CC": "/bin/false"},  # nothing may need a compiler
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def installed(clean_environment: Path) -> dict[str, Distribution]:
    site = next(clean_environment.glob("lib/python3*/site-packages"))
    return {d.metadata["Name"].lower(): d for d in distributions(path=[str(site)])}


@pytest.mark.slow
@pytest.mark.timeout(900)
class TestTheLock:
    def test_has_no_broken_requirement(self, clean_environment):
        done = subprocess.run(
            [BIN / "uv", "pip", "check", "--python", clean_environment / "bin" / "python"],
            env=installer_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def test_the_backend_imports_and_speaks(self, clean_environment, tmp_path):
        done = subprocess.run(
            [str(clean_environment / "bin" / "python"), "-m", "backend", "--help"],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PORTAL_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "refresh_client_info" in done.stdout

    def test_nothing_came_from_an_address(self, installed):
        elsewhere = {}
        for name, distribution in installed.items():
            record = distribution.read_text("direct_url.json")
            if record:
                elsewhere[name] = json.loads(record)["url"]
        assert not elsewhere

    def test_dbt_stays_below_the_release_that_downloads(self, installed):
        assert _version(installed, "dbt-core") < (1, 12)

    def test_openmetadata_is_recent_enough(self, installed):
        assert _version(installed, "openmetadata-ingestion") >= (2, 0)

    def test_only_pure_python_is_built_from_source(self, installed):
        built = [
            name
            for name, distribution in installed.items()
            if distribution.read_text("RECORD")
            and ".so," in distribution.read_text("RECORD")
            and "Root-Is-Purelib: true" in (distribution.read_text("WHEEL") or "")
        ]
        assert not built


@pytest.mark.slow
@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_lock_is_what_the_wishes_resolve_to(name, tmp_path):
    """Resolved again with the lock's own pins as preferences, nothing changes."""
    for file in ROOT.glob("requirements*"):
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "uv.toml").write_text(_as_installed("pyspark"))
    done = subprocess.run(
        [
            str(BIN / "uv"),
            *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
            *("--no-emit-index-url", "--generate-hashes", f"{name}.in", "-o", f"{name}.txt"),
        ],
        cwd=tmp_path,
        env=installer_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    fresh = _pins(tmp_path / f"{name}.txt")
    assert fresh == _pins(ROOT / f"{name}.txt"), "run: make lock"


def _as_installed(name: str) -> str:
    """What uv is told of a package that has no wheel.

    To learn that Spark needs py4j it would download half a gigabyte and keep that in the person's
    cache, each time anew, and what the installed one says of itself was built from the same file.
    """
    found = next(distributions(name=name))
    return (
        "[[dependency-metadata]]\n"
        f"name = {json.dumps(name)}\n"
        f"version = {json.dumps(found.version)}\n"
        f"requires-dist = {json.dumps(found.requires or [])}\n"
        f"provides-extra = {json.dumps(found.metadata.get_all('Provides-Extra') or [])}\n"
    )


def _pins(path: Path) -> set[str]:
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return {line for line in lines if line}
