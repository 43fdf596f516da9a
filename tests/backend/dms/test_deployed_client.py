"""Ours and a client of the deployed kind on one ledger and one queue: both leave the truth there.

They share no lock, so at any moment each works on targets of its own; after every round they
change sides, and each goes on with the rows that the other left.
"""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from backend.dms.client import DMSClient
from tests.fixtures import server_ledger
from tests.fixtures.deployed_client import DeployedClient
from tests.fixtures.dms_responder import mount_request

HOST = "compute-01"
ROUNDS, STEPS = 5, 50
TARGETS, JOBS = 3, 4
Step = Callable[[str, int, str], None]
pytestmark = pytest.mark.slow


def _walk(seed: int, side: str, held: set[tuple[int, str]], step: Step) -> None:
    """STEPS mounts and unmounts of the side's targets; `held` is what is mounted for whom."""
    chance = random.Random(seed)
    for _ in range(STEPS):
        key = (chance.randrange(JOBS), f"{side}-{chance.randrange(TARGETS)}")
        action = "unmount" if key in held else "mount"
        step(action, *key)
        held.symmetric_difference_update({key})


def test_five_hundred_mixed_operations_leave_what_the_servers_hold(
    rabbitmq_url: str,
    mariadb_url: str,
    start_responder: Callable[..., Any],
    start_client: Callable[..., DMSClient],
):
    server_ledger.create(mariadb_url)
    server = start_responder(rabbitmq_url, HOST)
    ours = start_client(rabbitmq_url, 120, db_url=mariadb_url)
    ours.ledger.ensure_operations()
    theirs = DeployedClient(mariadb_url, rabbitmq_url)

    def our_step(action: str, jobid: int, target: str) -> None:
        request = mount_request(jobid, target, HOST)
        answer = (ours.mount if action == "mount" else ours.unmount)(request)
        assert answer["status"] == "success", answer

    def their_step(action: str, jobid: int, target: str) -> None:
        (theirs.mount if action == "mount" else theirs.unmount)(jobid, target, HOST)

    held: dict[str, set[tuple[int, str]]] = {"left": set(), "right": set()}
    together = threading.Barrier(2, timeout=120)

    def work(seed: int, step: Step, sides: tuple[str, str]) -> None:
        for number in range(ROUNDS):
            side = sides[number % 2]
            together.wait()
            try:
                _walk(seed + number, side, held[side], step)
            except BaseException:
                together.abort()
                raise

    with ThreadPoolExecutor(2) as pool:
        done = [
            pool.submit(work, 100, our_step, ("left", "right")),
            pool.submit(work, 200, their_step, ("right", "left")),
        ]
    failed = [error for each in done if (error := each.exception()) is not None]
    for error in failed:  # what went wrong, not that the other one waited for it in vain
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    assert not failed
    theirs.close()
    wanted = held["left"] | held["right"]
    active = ours.get_active_mounts()
    assert {(entry.jobid, entry.backup_target_id) for entry in active} == wanted
    assert server.mounted == {target for _job, target in wanted}
    [[rows, keys]] = server_ledger.run(
        mariadb_url,
        "SELECT count(*), count(DISTINCT jobid, backup_target_id, host)"
        " FROM backup_target_mount_ledger",
    )
    assert rows == keys
    assert theirs.sent
    assert len(server.requests) > theirs.sent, "both sent some"
