"""What the image leaves out of the packages is never imported by what it is there for."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = Path(str(importlib.util.find_spec("streamlit").origin)).parents[1]  # type: ignore[union-attr]

CHARTS = re.compile(r"\b(plotly_chart|pydeck_chart|st\.map|echarts?_chart)\b")
#: Run with the paths that are left out, a line each, on stdin; the modules to import as arguments.
#: One process for all of them: what is left out fails whoever imports it, also after others.
IMPORT = """
import importlib, json, sys, traceback
from importlib.machinery import PathFinder
left_out = tuple(line for line in sys.stdin.read().split("\\n") if line)

class WithoutThem:
    find_distributions = PathFinder.find_distributions

    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        if spec is None:
            return None
        for place in [spec.origin or "", *(spec.submodule_search_locations or ())]:
            if any(place == each or place.startswith(each + "/") for each in left_out):
                raise ModuleNotFoundError(f"{name} is left out of the image", name=name)
        return spec

sys.meta_path = [each for each in sys.meta_path if each is not PathFinder] + [WithoutThem]
failed = {}
for module in sys.argv[1:]:
    try:
        importlib.import_module(module)
    except BaseException as exc:
        traceback.print_exc()
        failed[module] = str(exc)
print("\\n" + json.dumps(failed))
"""


@pytest.fixture(scope="module")
def slim() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slim", ROOT / ".ci" / "slim.py")
    assert spec is not None
    assert spec.loader is not None
    slim = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(slim)
    return slim


@pytest.fixture(scope="module")
def left_out(slim: ModuleType) -> str:
    return "\n".join(str(path) for found in slim.paths(PACKAGES).values() for path in found)


def _import(left_out: str, home: Path, *modules: str) -> dict[str, str]:
    """What importing them says, by the module's name; nothing of those that can be imported."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *modules],
        cwd=ROOT,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "DATAHUB_TELEMETRY_ENABLED": "false"},
        input=left_out,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


USED = (
    "app",
    "backend.cli.main",
    "backend.tokenization.action",
    "datahub_actions.plugin.source.kafka.kafka_event_source",
    "datahub.ingestion.run.pipeline",
    "datahub.ingestion.source.file",
    "datahub.ingestion.sink.datahub_rest",
    "backend.user_sync.connector",
    "metadata.workflow.metadata",
    "metadata.ingestion.sink.metadata_rest",
    "backend.sandbox.aws.server",
    "moto.awslambda_simple.responses",
    "moto.iam.responses",
    "moto.logs.responses",
    "moto.stepfunctions.models",
    "moto.stepfunctions.parser.api",
    "pyarrow.parquet",
    "databricks.sql",
)


def test_all_is_imported_without_what_is_left_out(left_out: str, tmp_path: Path) -> None:
    assert _import(left_out, tmp_path, *USED) == {}


def test_no_page_draws_a_chart_whose_code_is_left_out() -> None:
    sources = [*(ROOT / "pages").rglob("*.py"), *(ROOT / "auth").rglob("*.py")]
    drawn = [path.name for path in sources if CHARTS.search(path.read_text(encoding="utf-8"))]
    assert drawn == []
    assert CHARTS.search("st.plotly_chart(figure)")


def test_what_is_left_out_is_missed(left_out: str, tmp_path: Path) -> None:
    """Also by who comes after another that has met it, or works."""
    said = _import(left_out, tmp_path, "json", "cfnlint", "cfnlint.core")
    assert said.keys() == {"cfnlint", "cfnlint.core"}
    assert "cfnlint is left out of the image" in said["cfnlint"]


class TestSymbols:
    LIBRARY = next((PACKAGES / "lz4" / "block").glob("_block.*.so"))
    USE = """
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("_block", sys.argv[1])
assert isinstance(spec.loader, ExtensionFileLoader)
block = module_from_spec(spec)
spec.loader.exec_module(block)
print(block.decompress(block.compress(b"one two" * 9)).decode())
"""

    def test_a_library_works_without_them(self, slim: ModuleType, tmp_path: Path) -> None:
        copy = Path(shutil.copy(self.LIBRARY, tmp_path))
        saved = slim.cut(copy)
        assert saved > 0
        assert copy.stat().st_size == self.LIBRARY.stat().st_size - saved
        done = subprocess.run(
            [sys.executable, "-c", self.USE, str(copy)], capture_output=True, text=True, timeout=60
        )
        assert done.stdout.strip() == "one two" * 9, done.stderr
        assert slim.cut(copy) == 0  # nothing is left to cut

    def test_another_environment_keeps_them(self, slim: ModuleType, tmp_path: Path) -> None:
        """uv links the files of an environment from its cache."""
        mine, others = Path(shutil.copy(self.LIBRARY, tmp_path)), tmp_path / "in the cache"
        others.hardlink_to(mine)
        assert slim.cut(mine) > 0
        assert others.read_bytes() == self.LIBRARY.read_bytes()

    def test_a_program_works_without_them(self, slim: ModuleType, tmp_path: Path) -> None:
        uv = Path(shutil.copy(ROOT / ".venv" / "bin" / "uv", tmp_path))
        assert slim.cut(uv) > 0
        said = subprocess.run([str(uv), "--version"], capture_output=True, text=True, timeout=60)
        assert said.stdout.startswith("uv ")

    @pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n" * 20, b"\x7fELF\1\1" * 20])
    def test_other_files_stay_as_they_are(
        self, slim: ModuleType, tmp_path: Path, content: bytes
    ) -> None:
        other = tmp_path / "other"
        other.write_bytes(content)
        assert slim.cut(other) == 0
        assert other.read_bytes() == content
