"""The sandbox's ledger and agents, as any process of it sees them."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backend.dms.client import DMSClient
from backend.sandbox import dms_agent, ledger
from tests.fixtures.dms_responder import mount_request

ROOT = Path(__file__).parents[3]


def test_the_ledger_has_months_of_history_and_is_seeded_once(tmp_path: Path):
    part = ledger.start(tmp_path)
    with DMSClient(part.settings["url"]) as client:
        history = client.get_ledger_history("s3-prod-eu", limit=10_000)
        active = len(client.get_active_mounts())
    now = datetime.now(UTC).replace(tzinfo=None)
    assert min(entry.created_at for entry in history) < now - timedelta(days=90)
    assert len(history) > 500
    assert active > 20
    before = (tmp_path / ledger.FILE).stat().st_mtime_ns
    assert ledger.start(tmp_path) == part
    assert (tmp_path / ledger.FILE).stat().st_mtime_ns == before


def test_agents_answer_in_this_process_and_in_another(tmp_path: Path):
    url = ledger.start(tmp_path).settings["url"]
    broker = dms_agent.start(tmp_path).settings["url"]
    with DMSClient(url, broker, 60) as client:
        assert client.mount(mount_request(jobid=1, host="compute-07"))["outcome"] == "replied"
        refused = client.mount(mount_request(jobid=1, target=dms_agent.FAILING_TARGET))
        assert "permission denied" in refused["error_msg"]
        down = client.mount(mount_request(jobid=1, host=dms_agent.IDLE_HOST, target="x"))
        gone = client.mount(mount_request(jobid=1, host=dms_agent.GONE_HOST, target="x"))
    assert "nobody reads" in down["error_msg"]
    assert "no queue" in gone["error_msg"]
    script = (
        "import sys; from backend.dms.client import DMSClient\n"
        "from tests.fixtures.dms_responder import mount_request\n"
        "with DMSClient(sys.argv[1], sys.argv[2], 60) as client:\n"
        "    print(client.unmount(mount_request(jobid=1, host='compute-07'))['outcome'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, url, broker],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "replied"
