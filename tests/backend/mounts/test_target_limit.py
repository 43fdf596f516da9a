"""How many templates an environment may have holds for two who make one at once, on all three."""

import threading

import pytest

from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database, WriteSession
from backend.core.errors import FieldInvalid, InvalidInput
from backend.mounts import repository, targets
from tests.backend.connections import test_three_databases
from tests.fixtures.database import wait_until_blocked

state = test_three_databases.state


def _save(session: WriteSession, target_id: str) -> None:
    targets.save(
        session,
        SYSTEM,
        environment="Prod",
        target_id=target_id,
        type="s3",
        mount_path="/m",
        secret_ref="ref-1",
    )


def test_a_text_that_cannot_be_kept_is_named(
    state: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DMS_DB_URL", "mysql+pymysql://nobody@127.0.0.1:9/ledger")  # never asked
    monkeypatch.setenv("DMS_RABBITMQ_URL", "amqp://nobody:x@127.0.0.1:9/")
    with state.write() as session:
        environments.add(session, SYSTEM, name="Prod")
    with pytest.raises(FieldInvalid) as said, state.write() as session:
        targets.save(
            session,
            SYSTEM,
            environment="Prod",
            target_id="one",
            type="nfs",
            mount_path="/" + "m" * 1000,
            filesystem_export="h:/e",
            nfs_mount_opts="o" * 501,
        )
    assert list(said.value.problems.values()) == [
        "mount_path has at most 1,000 characters.",
        "nfs_mount_opts has at most 500 characters.",
    ]


def test_the_second_of_two_at_once_is_refused(
    state: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "MAX_TARGETS", 1)
    monkeypatch.setenv("DMS_DB_URL", "mysql+pymysql://nobody@127.0.0.1:9/ledger")  # never asked
    monkeypatch.setenv("DMS_RABBITMQ_URL", "amqp://nobody:x@127.0.0.1:9/")
    ended: list[str] = []

    def second() -> None:
        try:
            with state.write() as session:
                _save(session, "two")
            ended.append("saved")
        except InvalidInput as exc:
            ended.append(exc.message)

    with state.write() as session:
        environments.add(session, SYSTEM, name="Prod")
    with state.write() as session:
        _save(session, "one")
        thread = threading.Thread(target=second)
        thread.start()
        wait_until_blocked(state, thread)
    thread.join(60)
    assert ended == ["Prod has 1 templates, as many as there may be. Remove one first."]
