"""Each action's own button, under a policy: it waits and nothing is written, or it goes on.

REST, command line and MCP: tests/backend/changes/test_doors.py; every rule: test_matrix.py there.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from backend import composition
from backend.changes import policy
from backend.changes.rules import Rule
from backend.core.access import SYSTEM
from backend.core.audit import AuditEvent
from backend.core.database import Base, Database
from backend.jobs import broker
from backend.models import Change
from tests.backend.ingestion import conftest as ingestion
from tests.backend.tokenization import conftest as tokenization
from tests.backend.user_sync import conftest as user_sync
from tests.fixtures.pages import OpenPage
from tests.pages.policy_buttons import ASKS_ONLY, BUTTONS, WHY, Button, Get

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

directory, om, people = user_sync.directory, user_sync.om, user_sync.world
source, gms, customers = tokenization.source, tokenization.gms, tokenization.catalogued
aws_server, aws, environment = ingestion.aws_server, ingestion.aws, ingestion.environment
add_rule, mapped, datahub = ingestion.add_rule, ingestion.mapped, ingestion.datahub

#: What a request, the audit log's entry for it and what people are told of it may add.
OF_A_REQUEST = {"changes", "change_texts", "change_steps", "events", "audit_events", "audit_head"}
#: What a look at AWS, which a run's page takes by itself, writes into a run.
OF_A_LOOK = {"looks", "looked_at", "next_look_at"}


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "send", lambda *_: None)


@pytest.fixture
def get(database: Database, request: pytest.FixtureRequest) -> Get:
    return request.getfixturevalue  # type: ignore[no-any-return]


def ruled(get: Get, action: str, mode: str) -> Button:
    """The button's place, with the rule in force."""
    button = BUTTONS[action](get)
    values = Rule(mode=mode)  # type: ignore[arg-type]  # one of three
    with get("database").write() as session:
        policy.save(session, SYSTEM, environment=button.environment, action=action, rule=values)
    return button


def columns(table: Any) -> list[Any]:
    return [column for column in table.c if column.name not in OF_A_LOOK]


def state(database: Database) -> dict[str, list[Any]]:
    """Every row of the portal's own database, but for what a request adds."""
    with database.read() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(*columns(table)))]
            for table in Base.metadata.sorted_tables
            if table.name not in OF_A_REQUEST
        }


def audited(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))


def say_why(app: "AppTest") -> None:
    """In the fields for it that are drawn; the button must be beside one."""
    fields = [each for each in app.text_input if (each.key or "").endswith(".reason")]
    assert fields
    for each in fields:
        each.set_value(WHY)


def requests(database: Database) -> list[tuple[int, str, str, str]]:
    with database.read() as session:
        rows = session.scalars(select(Change))
        return [(row.id, row.action, row.state, row.reason) for row in rows]


def keys(app: "AppTest") -> set[str | None]:
    return {each.key for kind in (app.button, app.get("menu_button")) for each in kind}


def test_every_action_has_its_button() -> None:
    assert set(BUTTONS) == set(composition._actions())


@pytest.mark.parametrize("action", sorted(BUTTONS))
def test_the_button_asks_for_an_approval(get: Get, open_page: OpenPage, action: str) -> None:
    button, database = ruled(get, action, "approve"), get("database")
    app = button.opened(open_page)
    assert button.offered in keys(app)
    button.lead(app)
    if action in ASKS_ONLY:
        policies = [each.value for each in app.caption if "Policy of" in each.value]
        assert ["1 approval." in text for text in policies] == [True], "said before it is asked"
    say_why(app)
    before, log, outside = state(database), audited(database), button.outside()
    app.button(key=button.last).click().run()
    assert not app.exception
    ((number, *filed),) = requests(database)
    assert filed == [action, "waiting", WHY]
    said = f"Nothing was done yet: this needs somebody else's approval. [Change {number}](/changes"
    assert f"{said}?change={number}) waits for it." in [each.value for each in app.info]
    assert button.last not in keys(app) or not button.last.endswith("confirm"), "still asked"
    app.run()
    noted = [each.value for each in app.markdown if f"[change {number}]" in each.value]
    assert len(noted) == int(button.notes)
    assert state(database) == before
    assert audited(database) == [*log, "changes:request:ask"]
    assert button.outside() == outside


@pytest.mark.parametrize("mode", ["direct", "confirm"])
@pytest.mark.parametrize("action", sorted(BUTTONS))
def test_the_button_acts(get: Get, open_page: OpenPage, action: str, mode: str) -> None:
    button, database = ruled(get, action, mode), get("database")
    app = button.opened(open_page)
    at_once = mode == "direct" and action in ASKS_ONLY
    if not at_once:
        button.lead(app)
    before, outside = state(database), button.outside()
    if at_once:
        button.lead(app)
        assert button.last not in keys(app)
    else:
        app.button(key=button.last).click().run()
    assert not app.exception
    assert requests(database) == []
    assert (state(database), button.outside()) != (before, outside)


@pytest.mark.parametrize("action", sorted(BUTTONS))
def test_who_may_not_is_offered_nothing_and_a_late_click_does_nothing(
    get: Get,
    open_page: OpenPage,
    sign_in_as: Callable[[str | None], None],
    action: str,
) -> None:
    button, database = ruled(get, action, "approve"), get("database")
    assert button.offered not in keys(button.opened(open_page, "viewer"))
    app = button.opened(open_page)
    button.lead(app)
    before, log, outside = state(database), audited(database), button.outside()
    sign_in_as("viewer")  # the role is lost between the look and the click
    app.button(key=button.last).click().run()
    assert requests(database) == []
    assert (state(database), button.outside()) == (before, outside)
    assert set(audited(database)[len(log) :]) <= {"access:denied"}
