"""The admin's table of client info: filters, search, correction by hand, deletion, CSV."""

import csv
import io
import json

import pytest
from sqlalchemy import select

from backend.connections import client_info, client_info_admin, environments, repository
from backend.connections.errors import NoClientInfo
from backend.core import clock
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import InvalidInput, NotPermitted
from backend.models import AuditEvent, DataHubClientInfo


@pytest.fixture
def two(database: Database) -> None:
    """Prod is connected, Stage failed, Bare was never asked."""
    now = clock.now()
    with database.write() as session:
        for name, status in (("Prod", "connected"), ("Stage", "failed"), ("Bare", "")):
            environment = environments.add(session, SYSTEM, name=name)
            if status:
                session.add(
                    DataHubClientInfo(
                        environment_id=environment.id,
                        client_id=f"client-of-{name}",
                        server_id="server-1",
                        frontend_base_url="=1+1",
                        server_config={},
                        connection_status=status,
                        error_message="",
                        created_at=now,
                        last_updated=now,
                    )
                )


def names(database: Database, **filters: str) -> list[str]:
    with database.read() as session:
        found = client_info_admin.search(session, SYSTEM, **filters)
    return [item.environment for item in found]


def test_filters_and_search(two: None, database: Database) -> None:
    assert names(database) == ["Prod", "Bare", "Stage"]
    assert names(database, status="failed") == ["Stage"]
    assert names(database, environment="prod") == ["Prod"]
    assert names(database, text="OF-STAGE") == ["Stage"]
    assert names(database, text="bar") == ["Bare"]
    assert names(database, text="server-1", status="connected") == ["Prod"]
    with pytest.raises(InvalidInput, match="connected, failed, unknown"):
        names(database, status="fine")


def test_an_edit_is_marked_and_audited(two: None, database: Database) -> None:
    with database.write() as session:
        done = client_info_admin.edit(
            session, SYSTEM, environment="Prod", values={"client_id": " mine "}
        )
    assert (done.client_id, done.edited_by, done.server_id) == ("mine", "system", "server-1")
    assert done.edited_at
    with database.read() as session:
        event = session.scalars(
            select(AuditEvent).where(AuditEvent.action == "connections:client_info:edit")
        ).one()
    assert json.loads(event.details)["before"] == {"client_id": "client-of-Prod"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"connection_status": "connected"}, "no connection_status to change"),
        ({"client_id": "x" * 256}, "at most 255"),
        ({"server_id": "a\nb"}, "one line"),
        ({"frontend_base_url": "javascript:alert(1)"}, "must start with http://"),
        ({}, "changes in some of client_id"),
    ],
)
def test_what_cannot_be_edited_is_refused(
    two: None, database: Database, values: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said), database.write() as session:
        client_info_admin.edit(session, SYSTEM, environment="Prod", values=values)
    with database.read() as session:
        assert client_info.get(session, SYSTEM, environment="Prod").client_id == "client-of-Prod"


def test_deleted_is_unknown_again(two: None, database: Database) -> None:
    with database.write() as session:
        left = client_info_admin.remove(session, SYSTEM, environment="Prod")
        assert left.connection_status == "unknown"
    with database.read() as session:
        view = client_info.get(session, SYSTEM, environment="Prod")
        row = environments.require_row(session, "Prod")
        assert repository.find_client_info(session, row.id) is None
    assert (view.connection_status, view.client_id) == ("unknown", "")
    with pytest.raises(NoClientInfo), database.write() as session:
        client_info_admin.remove(session, SYSTEM, environment="Prod")


def test_csv_is_harmless_and_complete(two: None, database: Database) -> None:
    with database.read() as session:
        text = client_info_admin.export(session, SYSTEM)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["environment"] for row in rows] == ["Prod", "Bare", "Stage"]
    assert rows[0]["frontend_base_url"] == "'=1+1"


def test_is_for_admins(two: None, database: Database) -> None:
    viewer = Actor(1, "v", Role.OPERATOR, "user")
    with database.read() as session, pytest.raises(NotPermitted):
        client_info_admin.search(session, viewer)
    with database.write() as session, pytest.raises(NotPermitted):
        client_info_admin.edit(session, viewer, environment="Prod", values={"client_id": "x"})
    with database.write() as session, pytest.raises(NotPermitted):
        client_info_admin.remove(session, viewer, environment="Prod")
