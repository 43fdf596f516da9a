"""Build the DMS client's wheel from backend/dms: .venv/bin/python .ci/wheel.py [FOLDER]

The same files, under the name that its users import. uv builds them itself, without the network.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "backend" / "dms"
UV = ROOT / ".venv" / "bin" / "uv"


def build(folder: Path) -> Path:
    """The wheel, made in `folder`."""
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary)
        shutil.copy(ROOT / "packaging" / "dms_client.toml", project / "pyproject.toml")
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(LIBRARY, project / "src" / "dms_client", ignore=ignored)
        (project / "src" / "dms_client" / "py.typed").touch()
        command = [UV, "build", "--quiet", "--wheel", "--no-config", "--out-dir", folder, project]
        subprocess.run(command, check=True)
    return max(folder.glob("dms_client-*.whl"), key=lambda wheel: wheel.stat().st_mtime)


if __name__ == "__main__":
    print(build(Path(sys.argv[1] if len(sys.argv) > 1 else "dist").resolve()))
