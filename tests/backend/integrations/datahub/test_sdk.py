"""Loading the SDK leaves no trace in a person's home and does not happen too early."""

import json
import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[4]


def _python(code: str, home: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=_ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(_ROOT),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_adapter_and_the_stand_in_imports_no_sdk(tmp_path):
    out = _python(
        "import sys, backend.integrations.datahub.client, backend.sandbox.datahub;"
        "print([m for m in sys.modules if m.split('.')[0] in ('datahub', 'avro', 'pandas')])",
        tmp_path,
    )

    assert out.strip() == "[]"


def test_loading_it_writes_nothing_to_the_home_and_switches_telemetry_off(tmp_path):
    out = _python(
        "import json, os; from backend.integrations.datahub import sdk; sdk.load();"
        "from datahub.telemetry.telemetry import telemetry_instance as t;"
        "from datahub.cli.config_utils import DATAHUB_ROOT_FOLDER as folder;"
        "print(json.dumps([t.enabled, t.mp is None, folder]))",
        tmp_path,
        DATAHUB_TELEMETRY_ENABLED="true",
    )

    assert json.loads(out) == [False, True, str(tmp_path / ".datahub")]
    assert list(tmp_path.iterdir()) == []


def test_a_persons_own_choice_stays_as_it_is(tmp_path):
    folder = tmp_path / ".datahub"
    folder.mkdir()
    chosen = folder / "telemetry-config.json"
    chosen.write_text('{"client_id": "person", "enabled": true}')

    _python("from backend.integrations.datahub import sdk; sdk.load()", tmp_path)

    assert json.loads(chosen.read_text()) == {"client_id": "person", "enabled": True}
