"""The official Actions framework listens to the stand-in and gets tag events."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.sandbox.datahub.events import EventLog
from tests.backend.integrations.datahub.conftest import CUSTOMER, ORDERS, RUN

pytestmark = pytest.mark.slow  # the framework needs some seconds to start and to end

_LISTENER = """
import json
from datahub_actions.action.action import Action


class Listener(Action):
    @classmethod
    def create(cls, config, ctx):
        return cls(config)

    def __init__(self, config):
        self.path = config["path"]

    def act(self, event):
        with open(self.path, "a") as file:
            change = event.event
            file.write(json.dumps([
                event.event_type, change.entityUrn, change.category, change.operation,
                change.modifier, change.safe_parameters,
            ]) + "\\n")

    def close(self):
        pass
"""

_PIPELINE = """
name: listener
datahub: {{server: "{server}", token: "{token}"}}
source:
  type: datahub-cloud
  config: {{lookback_days: 1}}
filters:
  - type: event_type
    config:
      filter:
        EntityChangeEvent_v1:
          event:
            - {{category: TAG, operation: ADD, modifier: "{tag}"}}
action: {{type: "listener:Listener", config: {{path: "{path}"}}}}
options: {{failed_events_dir: "{folder}"}}
"""


@pytest.fixture
def polls(monkeypatch):
    """Grows by one whenever the framework asks for events."""
    begun, poll = [], EventLog.poll

    def counted(*args, **kwargs):
        begun.append(1)
        return poll(*args, **kwargs)

    monkeypatch.setattr(EventLog, "poll", counted)
    return begun


def test_tag_events_reach_an_action_and_the_offset_is_kept(gms, polls, tmp_path):
    gms.seed_dataset(ORDERS, tags=[RUN])
    gms.seed_dataset(CUSTOMER, fields={"email": "text"}, field_tags={"email": [RUN]})
    (tmp_path / "listener.py").write_text(_LISTENER)
    (tmp_path / "pipeline.yaml").write_text(
        _PIPELINE.format(
            server=gms.url,
            token=gms.token,
            tag=RUN,
            path=tmp_path / "seen.jsonl",
            folder=tmp_path / "failed",
        )
    )

    output = (tmp_path / "out").open("w+")
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("datahub")), "actions", "-c", "pipeline.yaml"],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(tmp_path),
            "DATAHUB_TELEMETRY_ENABLED": "false",
        },
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    try:
        _wait_for(lambda: len(_lines(tmp_path / "seen.jsonl")) >= 2, process)
        # Another whole poll, not the one under way: then the source knows that both are done.
        known = len(polls) + 2
        _wait_for(lambda: len(polls) >= known, process)
        process.send_signal(signal.SIGINT)  # the offset is kept on a clean end only
        code = process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        output.close()

    assert code == 0, (tmp_path / "out").read_text()[-3000:]
    seen = [json.loads(line) for line in _lines(tmp_path / "seen.jsonl")]
    assert [each[:5] for each in seen] == [
        ["EntityChangeEvent_v1", ORDERS, "TAG", "ADD", RUN],
        ["EntityChangeEvent_v1", f"urn:li:schemaField:({CUSTOMER},email)", "TAG", "ADD", RUN],
    ]
    assert seen[1][5]["parentUrn"] == CUSTOMER
    assert len(gms.store.urns("platformResource")) == 1


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _wait_for(condition, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert process.poll() is None, "the framework ended by itself"
        assert time.monotonic() < deadline, "no event arrived"
        time.sleep(0.2)
