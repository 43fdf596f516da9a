"""The Connections page: health of everything at once, and whose certificates are trusted."""

import pytest

from backend.connections import environments, probing, resolve, secrets, service, testing
from backend.connections.schemas import TestResult
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from tests.fixtures.certificates import Authority
from tests.fixtures.pages import OpenPage

PAGE = "connections/page.py"


@pytest.fixture
def prod(database: Database) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name="Prod")
        service.save(
            session,
            SYSTEM,
            environment="Prod",
            kind="postgres",
            settings={"host": "db.example", "database": "d", "user": "u"},
        )


class TestMatrix:
    def test_every_kind_in_every_environment(
        self, open_page: OpenPage, prod: None, monkeypatch: pytest.MonkeyPatch, database: Database
    ) -> None:
        with database.write() as session:
            environments.add(session, SYSTEM, name="Lab")
        with database.read() as session:
            config = resolve.connection(session, kind="postgres", environment="Prod")
        good = TestResult(config.kind, True, 12, tested_at=clock.now())
        monkeypatch.setattr(probing, "run", lambda *_, **__: good)
        testing.run(database, SYSTEM, environment="Prod", kind="postgres")
        frame = open_page(PAGE, role="viewer").dataframe[0].value.set_index("Connection")
        assert list(frame.columns) == ["Prod", "Lab", "Needed for"]
        assert frame.loc["PostgreSQL", "Prod"].startswith("✓ 12 ms")
        assert frame.loc["PostgreSQL", "Lab"] == "–"

    def test_a_key_that_was_made_at_its_first_use_is_there_as_in_the_list_below(
        self, open_page: OpenPage, prod: None, database: Database
    ) -> None:
        with database.write() as session:
            environments.add(session, SYSTEM, name="Lab")
            where = resolve.environment(session, "Prod")
            secrets.ensure_tokenization_key(session, SYSTEM, environment_id=where.id)
        app = open_page(PAGE)
        frame = app.dataframe[0].value.set_index("Connection")
        assert frame.loc["Tokenization key", "Prod"] == "? untested"
        [listed] = [each for each in app.radio if each.key == "connections.kind"]
        assert "untested" in listed.proto.captions[listed.options.index("Tokenization key")]

    def test_one_environment_says_its_state_once_and_also_what_it_warns_of(
        self, open_page: OpenPage, prod: None, monkeypatch: pytest.MonkeyPatch, database: Database
    ) -> None:
        good = TestResult("postgres", True, 12, warnings=("It is old.",), tested_at=clock.now())
        monkeypatch.setattr(probing, "run", lambda *_, **__: good)
        testing.run(database, SYSTEM, environment="Prod", kind="postgres")
        app = open_page(PAGE)
        assert not app.dataframe
        [listed] = [each for each in app.radio if each.key == "connections.kind"]
        assert "warning" in listed.proto.captions[listed.options.index("PostgreSQL")]


class TestTrust:
    def test_an_authority_is_given_and_named(
        self, open_page: OpenPage, prod: None, database: Database
    ) -> None:
        app = open_page(PAGE, kind="postgres")
        app.button(key="connections.open.edit").click().run()
        trust = "connections.edit.trust"
        next(t for t in app.text_area if (t.key or "").startswith(trust)).input(Authority().pem)
        next(b for b in app.button if (b.key or "").startswith(trust)).click().run()
        assert not app.exception
        app.button(key="connections.open.edit").click().run()
        assert any("CN=Acme Test CA" in item.value for item in app.caption)
        with database.read() as session:
            assert environments.get(session, SYSTEM, name="Prod").authorities == (
                "CN=Acme Test CA",
            )

    def test_verification_off_stays_visible(
        self, open_page: OpenPage, prod: None, database: Database
    ) -> None:
        with database.write() as session:
            environments.set_trust(session, SYSTEM, name="Prod", verify=False)
        assert "not verified in Prod" in "".join(
            item.value for item in open_page(PAGE, kind="postgres").warning
        )
