"""The directory tried, uploaded, mapped; both sides before a plan; observations of a plan."""

import pytest
from sqlalchemy import event, insert, text

from backend.connections import service as connections
from backend.core import database as core_database
from backend.core.database import Turns
from backend.core.errors import InvalidInput, NotPermitted, PortalError, UpstreamError
from backend.jobs.errors import JobCancelled
from backend.models import SyncDomainMap
from backend.user_sync import planning, row_repository, service
from backend.user_sync.errors import FewMatched
from tests.backend.user_sync.conftest import StopAt


def connect(world, **settings):
    with world.database.write() as session:
        connections.save(
            session, world.admin, environment=world.env, kind="directory", settings=settings
        )


def test_a_try_shows_ten_people_and_who_is_refused(world):
    found = service.try_it(world.database, world.steward, environment=world.env)
    assert len(found.people) == 10
    assert not any(person.refused for person in found.people)
    world.directory.users = [{"email": None, "displayName": "X", "domain": None}]
    (person,) = service.try_it(world.database, world.steward, environment=world.env).people
    assert person.refused == "the directory gives no e-mail"


def test_presets_of_the_sandboxs_schema(world):
    found = service.suggest(world.database, world.steward, environment=world.env)
    assert [preset.label for preset in found] == ["users, one answer"]
    connect(world, endpoint=world.directory.url, query=found[0].query, mapping=found[0].mapping)
    assert world.plan().matched_count > 10


class TestUpload:
    FILE = b"E-Mail;Name;Department\naaron_johnson0@example.com;Aaron Johnson;Marketing\n"

    def keep(self, world, content=FILE, actor=None):
        with world.database.write() as session:
            return service.upload(
                session,
                actor or world.steward,
                environment=world.env,
                name="p.csv",
                content=content,
            )

    def test_a_file_is_the_directory(self, world):
        connect(world, source="upload", endpoint="")
        with pytest.raises(InvalidInput, match="No file of people"):
            world.plan()
        assert self.keep(world).people == 1
        plan = world.plan(accept_short=True)
        assert (plan.directory_count, plan.kinds["update"]) == (1, 1)

    def test_it_is_refused_where_the_directory_is_another(self, world):
        with pytest.raises(InvalidInput, match="no uploaded file"):
            self.keep(world)

    def test_a_file_that_cannot_be_read_replaces_nothing(self, world):
        connect(world, source="upload", endpoint="")
        self.keep(world)
        with pytest.raises(InvalidInput, match="No column"):
            self.keep(world, b"a,b\n1,2\n")
        with world.database.read() as session:
            assert service.uploaded(session, world.steward, environment=world.env).people == 1


class TestDomainMap:
    def test_an_unknown_domain_is_mapped_and_the_history_stays(self, world):
        row = world.row(world.plan(), "elif.yilmaz@example.com")
        assert row.kind == "unknown_domain"
        with world.database.write() as session:
            first = service.map_domain(
                session, world.steward, environment=world.env, said=" innovation", domain="Finance"
            )
            service.map_domain(
                session, world.steward, environment=world.env, said="Innovation", domain="Research"
            )
        row = world.row(world.plan(), "elif.yilmaz@example.com")
        assert (row.kind, [ref.fqn for ref in row.new_domains]) == ("update", ["Research"])
        with world.database.read() as session:
            history = service.list_domain_map(
                session, world.steward, environment=world.env, history=True
            ).items
            now = service.list_domain_map(session, world.steward, environment=world.env).items
        assert [(item.domain, item.ended_at is None) for item in history] == [
            ("Research", True),
            ("Finance", False),
        ]
        assert [item.domain for item in now] == ["Research"]
        with world.database.write() as session:
            service.unmap_domain(session, world.steward, map_id=now[0].id)
        assert world.row(world.plan(), "elif.yilmaz@example.com").kind == "unknown_domain"
        with pytest.raises(PortalError, match="no such mapping"), world.database.write() as session:
            service.unmap_domain(session, world.steward, map_id=first.id)

    def test_counts_however_many_newer_ones_there_are_and_all_can_be_read(self, world):
        asked = {"environment": world.env, "said": "Innovation"}
        with world.database.write() as session:
            first = service.map_domain(session, world.steward, **asked, domain="Finance").id
            kept = session.get(SyncDomainMap, first)
            same = {c.key: getattr(kept, c.key) for c in SyncDomainMap.__table__.columns}
            newer = [{**same, "id": first + n, "said": str(n)} for n in range(1, 10_002)]
            session.execute(insert(SyncDomainMap), newer)
        row = world.row(world.plan(), "elif.yilmaz@example.com")
        assert [ref.fqn for ref in row.new_domains] == ["Finance"]
        with world.database.write() as session:
            service.map_domain(session, world.steward, **asked, domain="Research")
            page = service.list_domain_map(
                session, world.steward, environment=world.env, limit=1_000, before=first + 2
            )
        # The one before has ended: no two count at once.
        assert ([item.said for item in page.items], page.next_cursor) == (["1"], None)


class TestObservations:
    def test_leavers_are_looked_at_and_counted_apart(self, world):
        world.om.store.add_user("old.timer", display_name="Old Timer", lastLoginTime=1700000000000)
        world.om.store.add_user("new.joined", display_name="New Joiner", domains=("Finance",))
        plan = world.plan()
        assert sum(plan.kinds.values()) == len(world.directory.users) == len(world.rows(plan))
        kinds = {row.email: row.kind for row in world.rows(plan, kinds=("leaver", "renamed"))}
        assert kinds["old.timer@example.com"] == "leaver"
        assert kinds["new.joined@example.com"] == "renamed"
        assert plan.observed["renamed"] == 1
        found = service.leavers(world.database, world.steward, plan_id=plan.id, limit=100)
        seen = {item.email: item for item in found.items}
        assert "new.joiner@example.com" in seen["new.joined@example.com"].reason

    def test_they_are_never_written(self, world):
        world.om.store.add_user("old.timer", display_name="Old Timer")
        plan = world.plan()
        row = next(r for r in world.rows(plan, kinds=("leaver",)) if r.user_name == "old.timer")
        assert not row.applicable
        with pytest.raises(PortalError, match="changes nothing for"):
            world.start(plan, emails=[row.email])


class TestFewMatched:
    def test_nobody_found_stops_a_plan(self, world):
        world.directory.users = [{"email": "x@y.io", "displayName": "X", "domain": None}]
        with pytest.raises(FewMatched, match="0 of 1 people"):
            world.plan()
        assert world.plan(accept_short=True).matched_count == 0

    def test_far_fewer_than_last_time_stops_a_plan(self, world):
        world.plan()
        for person in world.directory.users[:12]:
            person["email"] = f"gone.{person['email']}"
        with pytest.raises(FewMatched, match="the last plan found"):
            world.plan()


class TestBothSides:
    def test_masked_emails_stop_a_plan(self, world):
        world.use(world.om, "dana.fox")
        with pytest.raises(UpstreamError, match="may not see e-mail addresses"):
            world.plan()

    def test_preflight_is_for_people_who_may_plan(self, world, actors):
        found = service.preflight(world.database, world.steward, environment=world.env)
        assert (found.is_admin, found.may_rename, found.if_match) == (True, True, True)
        with pytest.raises(NotPermitted):
            service.preflight(world.database, actors.viewer, environment=world.env)
        assert {m for m, _ in world.om.requests} == {"GET", "PATCH"}
        assert all(user["version"] == 0.1 for user in world.om.store.users.values())


class Transactions:
    """How many rows each write transaction on SQLite changed, and in how many statements."""

    def __init__(self, database):
        self.rows, self.statements = [], [0]
        self._before = 0
        event.listen(database.engine, "begin", self._begin)
        event.listen(database.engine, "before_cursor_execute", self._statement)
        event.listen(database.engine, "commit", self._commit)

    def _begin(self, connection):
        self._before = connection.connection.driver_connection.total_changes
        self.statements.append(0)

    def _statement(self, *_arguments):
        self.statements[-1] += 1

    def _commit(self, connection):
        self.rows.append(connection.connection.driver_connection.total_changes - self._before)


def test_no_transaction_of_planning_is_long(world, monkeypatch):
    """Other writers wait for one transaction at most, so none may change many rows: not while a
    plan is filled, corrected, given up, or made again over the rows of a crashed attempt."""
    monkeypatch.setattr(row_repository, "STORED_TOGETHER", 100)
    monkeypatch.setattr(row_repository, "DROPPED_TOGETHER", 100)
    world.directory.users += [
        {"email": f"new{n}@example.com", "displayName": "N", "domain": None} for n in range(950)
    ]
    seen = Transactions(world.database)
    plan = world.plan()
    assert len(world.rows(plan)) == len(world.directory.users)
    planning.run(world.database, world.steward, plan.id, planning.Silent())
    with pytest.raises(JobCancelled):
        world.plan(control=StopAt(1, JobCancelled()))
    assert sum(seen.rows) > 3 * 950, "stored, dropped and stored again"
    assert max(seen.rows) <= 110
    assert max(seen.statements) <= 20


def test_a_transaction_waits_for_its_turn(database):
    """Between two of many a writer that asks every few milliseconds gets in."""
    pauses = []
    turns = Turns(database)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core_database.time, "sleep", pauses.append)
        patch.setattr(core_database.time, "monotonic", lambda: 1000.0)
        for _ in range(3):
            with turns.write() as session:
                session.execute(text("DELETE FROM user_sync_ignores"))
    assert pauses == pytest.approx([0.0, *[core_database._GAP_SECONDS] * 2])
