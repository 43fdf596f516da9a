"""The official `datahub` command, as a person runs it, against the stand-in."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.sandbox.datahub import StandIn
from tests.backend.integrations.datahub.conftest import CUSTOMER, RUN

pytestmark = pytest.mark.slow  # each start of the command costs 3 to 5 s


@pytest.fixture
def datahub(gms: StandIn, tmp_path):
    program = Path(sys.executable).with_name("datahub")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(program), *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "DATAHUB_GMS_URL": gms.url,
                "DATAHUB_GMS_TOKEN": gms.token,
                "DATAHUB_TELEMETRY_ENABLED": "false",
            },
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_reads_the_configuration(datahub):
    done = datahub("check", "server-config")

    assert done.returncode == 0, done.stderr
    assert "'noCode': 'true'" in done.stdout


def test_puts_gets_and_deletes(gms, datahub, tmp_path):
    (tmp_path / "tags.json").write_text(json.dumps({"tags": [{"tag": RUN}]}))

    put = datahub(
        "put", "--urn", CUSTOMER, "--aspect", "globalTags", "-d", str(tmp_path / "tags.json")
    )
    assert put.returncode == 0, put.stderr
    got = datahub("get", "--urn", CUSTOMER, "--aspect", "globalTags")
    assert json.loads(got.stdout) == {"globalTags": {"tags": [{"tag": RUN}]}}

    hard = datahub("delete", "--urn", CUSTOMER, "--hard", "--force")
    assert hard.returncode == 0, hard.stderr
    assert not gms.store.exists(CUSTOMER)
