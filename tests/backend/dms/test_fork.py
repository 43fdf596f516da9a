"""A forked process with its parent's client, on real RabbitMQ and MariaDB."""

import json
import os
from collections.abc import Callable
from typing import Any

from backend.dms.client import DMSClient, DMSClientException
from tests.fixtures.dms_responder import mount_request

Start = Callable[..., Any]


def test_a_forked_child_is_refused_at_once_and_its_parent_works_on(
    rabbitmq_url: str, mariadb_url: str, start_client: Start, start_responder: Start
):
    server = start_responder(rabbitmq_url)
    client: DMSClient = start_client(rabbitmq_url, 120, db_url=mariadb_url)
    client.mount(mount_request(jobid=1))
    reading, writing = os.pipe()
    child = os.fork()  # if it waited for timeouts, seven of them, this test would never end
    if child == 0:
        try:
            os.write(writing, json.dumps(_said_to(client)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        said = json.loads(answers.read())
    os.waitpid(child, 0)
    assert len(said) == 7
    assert all("Make a new DMSClient in this process" in sentence for sentence in said)
    assert [entry.jobid for entry in client.get_active_mounts()] == [1]
    assert client.mount(mount_request(jobid=2, target="target-2"))["outcome"] == "replied"
    assert server.mounted == {"target-1", "target-2"}


def _said_to(client: DMSClient) -> list[str]:
    """What the child hears; closing is allowed and changes nothing."""
    said = []
    calls: list[Callable[[], Any]] = [
        lambda: client.mount(mount_request(jobid=9, target="target-9")),
        lambda: client.unmount(mount_request(jobid=1)),
        lambda: client.get_active_mounts(),
        lambda: client.get_mount_status(1, "target-1"),
        lambda: client.get_ledger_history("target-1"),
        lambda: client.soft_delete_entry(1, "target-1"),
        lambda: client.recheck("an-operation"),
    ]
    for call in calls:
        try:
            call()
        except DMSClientException as exc:
            said.append(exc.message)
    client.close()
    return said
