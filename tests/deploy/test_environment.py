"""`make` and what it builds on: a Python is found or asked for, and uv hears what pip was told."""

import importlib.util
import os
import re
import subprocess
import venv
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

COMMANDS = ["setup", "run", "worker", "test", "check", "docs", "lock", "audit", "bench"]


@pytest.fixture
def environment(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("environment", ROOT / ".ci" / "environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [n for n in os.environ if n.startswith(("PIP_", "UV_", "XDG_CONFIG", "SSL_CERT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://packages.example/simple\ncert = /etc/our.pem\n"
    )
    return module


def _make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


class TestUvHearsWhatPipWasTold:
    def test_index_and_certificates_of_pips_file(self, environment):
        told = environment.environment_for_uv()
        assert told["UV_DEFAULT_INDEX"] == "https://packages.example/simple"
        assert told["SSL_CERT_FILE"] == "/etc/our.pem"

    def test_the_environment_beats_pips_file(self, environment, monkeypatch):
        monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")
        told = environment.environment_for_uv()
        assert told["UV_DEFAULT_INDEX"] == "https://other.example/simple"

    def test_uvs_own_variable_is_left_alone(self, environment, monkeypatch):
        monkeypatch.setenv("UV_INDEX_URL", "https://own.example/simple")
        assert "UV_DEFAULT_INDEX" not in environment.environment_for_uv()

    def test_uvs_own_file_is_left_alone(self, environment, tmp_path):
        (tmp_path / ".config" / "uv").mkdir(parents=True)
        (tmp_path / ".config" / "uv" / "uv.toml").write_text(
            '[[index]]\nurl = "https://own.example/simple"\ndefault = true\n'
        )
        assert "UV_DEFAULT_INDEX" not in environment.environment_for_uv()

    def test_nothing_is_said_when_pip_has_nothing(self, environment, tmp_path):
        (tmp_path / "pip.conf").write_text("")
        assert "UV_DEFAULT_INDEX" not in environment.environment_for_uv()


class TestMake:
    def test_help_describes_every_command(self):
        listed = _make("help").stdout
        for command in COMMANDS:
            assert re.search(rf"make {command}\s+\w", listed), command

    def test_without_a_python_it_says_what_is_needed(self, tmp_path: Path):
        for name in ("python3.11", "python3.12", "python3.13", "python3", "python"):
            old = tmp_path / name
            old.write_text("#!/bin/sh\nexit 1\n")
            old.chmod(0o755)
        done = _make("need-python", PATH=f"{tmp_path}:{os.environ['PATH']}")
        assert done.returncode != 0
        assert "Python 3.11 or newer is needed" in done.stderr

    def test_ci_runs_the_same_suite(self):
        text = (ROOT / ".ci" / "run").read_text()
        assert "make test" in text
        assert "CI=true" in text
        assert os.access(ROOT / ".ci" / "run", os.X_OK)


class TestMadeKnown:
    @pytest.fixture
    def folder(self, environment, monkeypatch, tmp_path):
        """The `bin` of an environment without packages that was told of the portal."""
        venv.create(tmp_path / "venv", symlinks=True)
        monkeypatch.setattr(environment, "BIN", tmp_path / "venv" / "bin")
        environment.make_known()
        return tmp_path / "venv" / "bin"

    def test_the_short_name_runs_from_any_folder_on_this_state(self, folder, tmp_path):
        text = (folder / "steward").read_text()
        # The environment that has the packages.
        text = text.replace(str(folder / "python"), str(ROOT / ".venv" / "bin" / "python"))
        (folder / "steward").write_text(text)
        done = _run(folder / "steward", "jobs", "--help", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "Usage: steward jobs" in done.stdout

    def test_a_command_of_a_package_finds_our_classes_behind_the_packages(self, folder, tmp_path):
        script = (
            tmp_path / "ingest"
        )  # as pip writes `metadata`: not the current folder, but its own
        script.write_text(f"#!{folder / 'python'}\nimport backend, sys\nprint(sys.path[-1])\n")
        script.chmod(0o755)
        done = _run(script, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(ROOT)


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
