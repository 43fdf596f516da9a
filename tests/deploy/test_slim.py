"""What the image leaves out of the packages is never imported by what it is there for."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = Path(str(importlib.util.find_spec("streamlit").origin)).parents[1]  # type: ignore[union-attr]

CHARTS = re.compile(r"\b(plotly_chart|pydeck_chart|st\.map|echarts?_chart)\b")
#: Run with the paths that are left out, a line each, on stdin; the module to import as argument.
IMPORT = """
import importlib, sys
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
importlib.import_module(sys.argv[1])
"""


@pytest.fixture(scope="module")
def left_out() -> str:
    spec = importlib.util.spec_from_file_location("slim", ROOT / ".ci" / "slim.py")
    assert spec is not None
    assert spec.loader is not None
    slim = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(slim)
    return "\n".join(str(path) for found in slim.paths(PACKAGES).values() for path in found)


def _import(module: str, left_out: str, home: Path) -> str:
    """What importing it says in the end; "" when it works."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, module],
        cwd=ROOT,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "DATAHUB_TELEMETRY_ENABLED": "false"},
        input=left_out,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stderr.strip().split("\n")[-1] if done.returncode else ""


@pytest.mark.parametrize(
    "module",
    [
        "app",
        "backend.cli.main",
        "backend.tokenization.action",
        "datahub_actions.plugin.source.kafka.kafka_event_source",
        "datahub.ingestion.run.pipeline",
        "datahub.ingestion.source.file",
        "datahub.ingestion.sink.datahub_rest",
        "backend.user_sync.connector",
        "metadata.workflow.metadata",
        "backend.sandbox.aws.server",
        "moto.awslambda_simple.responses",
        "moto.iam.responses",
        "moto.logs.responses",
        "moto.stepfunctions.models",
        "moto.stepfunctions.parser.api",
        "pyarrow.parquet",
        "databricks.sql",
    ],
)
def test_it_is_imported_without_what_is_left_out(
    module: str, left_out: str, tmp_path: Path
) -> None:
    assert _import(module, left_out, tmp_path) == ""


def test_no_page_draws_a_chart_whose_code_is_left_out() -> None:
    sources = [*(ROOT / "pages").rglob("*.py"), *(ROOT / "auth").rglob("*.py")]
    drawn = [path.name for path in sources if CHARTS.search(path.read_text(encoding="utf-8"))]
    assert drawn == []
    assert CHARTS.search("st.plotly_chart(figure)")


def test_what_is_left_out_is_missed(left_out: str, tmp_path: Path) -> None:
    assert "cfnlint is left out of the image" in _import("cfnlint", left_out, tmp_path)
