"""What an approved request rests on moves before it begins: it is refused, and says what moved.

Mounts' are test_previews.py, connections' test_governed.py.
"""

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from backend.changes import lifecycle, policy
from backend.changes import service as changes
from backend.changes.rules import Rule
from backend.changes.schemas import ChangeView, Now
from backend.connections import environments
from backend.connections import service as connections
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import Waiting
from backend.ingestion import managed, mapping, recipes, runs
from backend.ingestion.schemas import Request
from backend.jobs import broker, runner
from backend.jobs import service as jobs
from backend.models import Change, Connection
from backend.mounts import actions
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.datahub import StandIn as GmsStandIn
from backend.sandbox.openmetadata import StandIn, seeding
from backend.tokenization import service as tokenization
from backend.tokenization.engines.databricks.engine import DatabricksEngine
from backend.tokenization.schemas import TableReport, Trigger
from backend.user_sync import service as sync
from tests.backend.ingestion import conftest as ingestion
from tests.backend.ingestion.conftest import OTHER, URN, AddRule
from tests.backend.tokenization import conftest as tokenizing
from tests.backend.tokenization.world import World as Customers
from tests.backend.user_sync import conftest as syncing
from tests.backend.user_sync.conftest import World as People
from tests.backend.user_sync.conftest import expire, sent
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mounts import MountsEnvironment

aws_server, aws, environment = ingestion.aws_server, ingestion.aws, ingestion.environment
add_rule, datahub = ingestion.add_rule, ingestion.datahub
source, gms, customers = tokenizing.source, tokenizing.gms, tokenizing.catalogued
directory, om, people = syncing.directory, syncing.om, syncing.world

ANN = Actor(0, "cli:ann", Role.ADMIN, "cli")
LAKE = "urn:li:dataset:(urn:li:dataPlatform:databricks,main.crm.people,PROD)"
PREFIX = "AwsDataCatalog.financial_data."
EVE = Actor(0, "cli:eve", Role.ADMIN, "cli")


@pytest.fixture(autouse=True)
def _workers() -> None:
    broker.reset()
    runner.stopping.clear()


class Asked:
    """A request that waits."""

    def __init__(
        self, database: Database, place: str, action: str, call: Callable[[], object]
    ) -> None:
        self.database = database
        with database.write() as session:
            rule = Rule(mode="approve")
            policy.save(session, SYSTEM, environment=place, action=action, rule=rule)
        with pytest.raises(Waiting) as caught:
            call()
        self.number = int(caught.value.document["change_id"])
        assert self.now().same

    def now(self) -> Now:
        return changes.would_do(self.database, EVE, change_id=self.number)

    def approved(self) -> ChangeView:
        with self.database.write() as session:
            changes.approve(session, EVE, change_id=self.number)
        lifecycle.carry_out(self.database, self.number)
        with self.database.read() as session:
            return changes.get(session, SYSTEM, change_id=self.number)

    def refused(self, moved: str) -> None:
        """The approver is told before, and what was approved all the same does not begin."""
        now = self.now()
        assert (now.same, moved in (now.error or ", ".join(now.moved))) == (False, True), now
        view = self.approved()
        assert (view.status, moved in view.outcome) == ("refused", True), view.outcome


def _connection(database: Database, kind: str, **settings: str) -> None:
    """Changed by somebody whom no policy holds up."""
    with database.write() as session:
        row = session.query(Connection).filter_by(kind=kind).one()
        query = update(Connection).where(Connection.id == row.id)
        session.execute(query.values(settings={**row.settings, **settings}))


class TestTokenization:
    @pytest.fixture
    def asked(self, customers: Customers) -> Asked:
        def ask() -> None:
            tokenization.start(
                customers.database, ANN, dataset=customers.source.urn("customers"),
                columns=["email"], trigger=Trigger.CLI,
            )  # fmt: skip

        return Asked(customers.database, customers.environment, "tokenization.run", ask)

    @pytest.fixture(autouse=True)
    def _nothing_is_written(self, customers: Customers) -> object:
        yield
        plain = "SELECT count(*) FROM customers WHERE name LIKE 'Person%'"
        assert customers.source.column(plain) == [50]
        if "email" in customers.source.column(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'customers'"
        ):
            readable = "SELECT count(*) FROM customers WHERE email LIKE '%@%'"
            assert customers.source.column(readable) == [50]

    def test_the_scheme(self, customers: Customers, asked: Asked) -> None:
        _connection(customers.database, "tokenization", scheme="base64")
        asked.refused("the scheme")

    def test_the_key(self, customers: Customers, asked: Asked) -> None:
        with customers.database.write() as session:
            connections.save(
                session, SYSTEM, environment=customers.environment, kind="tokenization",
                settings={"scheme": "hmac-sha256"},
                secrets_in={"key": base64.b64encode(bytes(32)).decode()},
            )  # fmt: skip
        asked.refused("the key of the tokens")

    def test_the_server(self, customers: Customers, asked: Asked) -> None:
        with customers.database.write() as session:
            connections.save(
                session, SYSTEM, environment=customers.environment, kind="postgres",
                settings=customers.source.settings | {"host": "localhost"},
                secrets_in=customers.source.secrets,
            )  # fmt: skip
        asked.refused("the address of PostgreSQL")

    def test_the_table_was_made_anew(self, customers: Customers, asked: Asked) -> None:
        def make_anew() -> None:
            customers.source.run(
                "ALTER TABLE customers RENAME TO old",
                "CREATE TABLE customers AS TABLE old",
            )

        make_anew()
        asked.refused("the table")

    def test_a_column_that_has_gone(self, customers: Customers, asked: Asked) -> None:
        customers.source.run("ALTER TABLE customers RENAME COLUMN email TO mail")
        asked.refused("email")


class TestDatabricks:
    """Its connection goes while the request waits: nothing is run, skipped or recorded."""

    @pytest.fixture
    def asked(
        self, database: Database, environment: str, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Asked]:
        looked = TableReport(columns=())
        monkeypatch.setattr(DatabricksEngine, "require_columns", lambda *_: {})
        monkeypatch.setattr(DatabricksEngine, "preview", lambda *_, **_named: looked)
        with database.write() as session:
            connections.save(
                session, SYSTEM, environment=environment, kind="databricks",
                settings={"server_hostname": "localhost", "http_path": "/sql/1", "catalog": "main"},
                secrets_in={"access_token": "not-for-everybody"},
            )  # fmt: skip

        def ask() -> None:
            tokenization.start(
                database, ANN, dataset=LAKE, columns=["email"], environment=environment,
                trigger=Trigger.API,
            )  # fmt: skip

        yield Asked(database, environment, "tokenization.run", ask)
        with database.read() as session:
            assert tokenization.list_runs(session, SYSTEM).items == ()

    def test_the_connection_has_gone(
        self, database: Database, environment: str, asked: Asked
    ) -> None:
        with database.write() as session:
            connections.remove(session, SYSTEM, environment=environment, kind="databricks")
        asked.refused(f"Databricks connection not configured in {environment}")


class TestIngestion:
    @pytest.fixture
    def asked(self, database: Database, aws: AwsStandIn, add_rule: AddRule) -> Asked:
        for name in ("earnings-lambda", "drops-everything"):
            aws.add_function(name, seconds=3_600)
        add_rule("prefix", PREFIX, "earnings-lambda")
        return Asked(
            database, "dev", "ingestion.run", lambda: runs.start(database, ANN, Request(URN))
        )

    @pytest.fixture(autouse=True)
    def _nothing_is_started(self, aws: AwsStandIn) -> object:
        yield
        assert [each for each in aws.starts() if each.payload["datasetUrn"] == URN] == []

    def test_the_target_of_the_same_rule(self, asked: Asked, add_rule: AddRule) -> None:
        add_rule("prefix", PREFIX, "drops-everything")
        asked.refused("the target")

    def test_another_rule(self, asked: Asked, add_rule: AddRule) -> None:
        add_rule("exact", URN, "earnings-lambda")
        asked.refused("the rule")

    def test_how_its_function_is_called(self, database: Database, asked: Asked) -> None:
        with database.write() as session:
            mapping.put(
                session, SYSTEM, kind="prefix", pattern=PREFIX, target="earnings-lambda",
                invocation="sync",
            )  # fmt: skip
        asked.refused("the target")

    def test_the_account(self, database: Database, asked: Asked) -> None:
        _connection(database, "aws", region="eu-north-1")
        asked.refused("the target")


class TestRevert:
    @pytest.fixture
    def asked(self, people: People) -> Asked:
        run = people.apply(people.plan())
        with people.database.write() as session:
            inverse = sync.revert(session, people.steward, run_id=run.id)
        self.plan = inverse.id

        def ask() -> None:
            with people.database.write() as session:
                sync.apply(session, ANN, plan_id=inverse.id)

        return Asked(people.database, people.env, "user_sync.revert", ask)

    def test_the_catalog(self, people: People, asked: Asked) -> None:
        before = len(sent(people))
        with StandIn(seed=seeding.seed_demo) as other:
            people.use(other)
            asked.refused(f"points to {other.url}")
        assert len(sent(people)) == before

    def test_the_plan_has_expired(self, people: People, asked: Asked) -> None:
        expire(people, timedelta(minutes=1))
        asked.refused("expired")

    def test_a_user_whom_somebody_changed_is_left_alone(self, people: People, asked: Asked) -> None:
        name = "anna.kowalska"
        people.om.store.user_named(name)["displayName"] = "Somebody Else"
        view = asked.approved()
        assert view.status == "running", view.outcome
        runner.run(_job(people), people.database)
        lifecycle.track(people.database)
        ended = changes_get(people, asked.number)
        assert (ended.status, "1 conflict" in ended.outcome) == ("failed", True), ended.outcome
        assert people.stored(name)["displayName"] == "Somebody Else"


def _job(people: People) -> int:
    with people.database.read() as session:
        run = sync.list_runs(session, people.steward, environment=people.env, limit=1)[0]
        assert run.job_id is not None
        return run.job_id


def changes_get(people: People, number: int) -> ChangeView:
    with people.database.read() as session:
        return changes.get(session, SYSTEM, change_id=number)


def test_the_broker_of_a_mount(database: Database, lab: MountsEnvironment) -> None:
    request = mount_request(jobid=7, target="fresh", host="compute-02")
    asked = Asked(
        database, lab.name, "mounts.mount",
        lambda: actions.run(database, ANN, kind="mount", request=request),
    )  # fmt: skip
    _connection(database, "rabbitmq", url="memory://elsewhere")
    asked.refused("the address of RabbitMQ")


def test_the_text_of_a_recipe(
    database: Database, datahub: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = (recipes.FOLDER / "sample_file.yml").read_text()
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    (tmp_path / "sample_file.yml").write_text(original)

    def ask() -> None:
        with database.write() as session:
            recipes.run_recipe(session, ANN, name="sample_file.yml", environment="dev")

    asked = Asked(database, "dev", "ingestion.recipe", ask)
    (tmp_path / "sample_file.yml").write_text(f"{original}\n# and more\n")
    asked.refused("the recipe")


PASSWORD = "pa55-in-the-recipe"
RECIPE = f'{{"source":{{"type":"athena","config":{{"password":"{PASSWORD}"}}}}}}'


class TestManagedSource:
    @pytest.fixture
    def asked(self, database: Database, datahub: GmsStandIn) -> Asked:
        self.datahub = datahub
        self.urn = datahub.seed_ingestion_source("Athena hourly", "athena", recipe=RECIPE)
        return Asked(
            database, "dev", "ingestion.source",
            lambda: managed.run_source(database, ANN, source_urn=self.urn),
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("part", "value", "moved"),
        [
            ("recipe", RECIPE.replace(PASSWORD, "another"), "the recipe"),
            ("executorId", "remote", "the executor"),
            ("version", "1.8.0", "the version"),
            ("debugMode", True, "the debug"),
            ("extraArgs", {"extra_pip_requirements": '["x"]'}, "the recipe"),
        ],
    )
    def test_what_it_would_run(
        self, database: Database, asked: Asked, part: str, value: object, moved: str
    ) -> None:
        info = self.datahub.store.get(self.urn, "dataHubIngestionSourceInfo")
        config = {**info["config"], part: value}
        self.datahub.store.upsert(
            self.urn, "dataHubIngestionSourceInfo", {**info, "config": config}
        )
        asked.refused(moved)
        self._nothing_ran(database)

    def test_the_source_has_gone(self, database: Database, asked: Asked) -> None:
        self.datahub.store.delete(self.urn)
        asked.refused("DataHub has no ingestion source")
        self._nothing_ran(database)

    def test_one_that_is_the_same_runs(self, database: Database, asked: Asked) -> None:
        assert asked.approved().status == "running"
        with database.read() as session:
            [job] = jobs.list_jobs(session, SYSTEM, kind=managed.KIND).items
        runner.run(job.id, database)
        [listed] = managed.list_sources(database, SYSTEM).items
        assert listed.last_request_urn is not None
        lifecycle.track(database)
        with database.read() as session:
            assert changes.get(session, SYSTEM, change_id=asked.number).status == "succeeded"

    def test_the_approver_sees_it_without_its_passwords(
        self, database: Database, asked: Asked
    ) -> None:
        found = asked.now().preview
        assert found is not None
        shown = dict(found.rows)
        assert (shown["Source"], shown["Type"]) == ("Athena hourly", "athena")
        assert (shown["Executor"], shown["Version"]) == ("default", "1.7.0")
        assert len(shown["Recipe"]) == 12
        with database.read() as session:
            view = changes.get(session, SYSTEM, change_id=asked.number)
            stored = session.scalars(select(Change)).one()
        assert view.shown["source"] == "Athena hourly"
        for said in (found.model_dump_json(), view.model_dump_json(), str(vars(stored))):
            assert PASSWORD not in said

    def _nothing_ran(self, database: Database) -> None:
        [*listed] = managed.list_sources(database, SYSTEM).items if self._there() else ()
        assert [each.last_request_urn for each in listed] in ([None], [])
        with database.read() as session:
            assert jobs.list_jobs(session, SYSTEM, kind=managed.KIND).items == ()

    def _there(self) -> bool:
        return bool(self.datahub.store.get(self.urn, "dataHubIngestionSourceInfo"))


def test_an_environment_under_another_name_is_the_same(
    database: Database, aws: AwsStandIn, add_rule: AddRule
) -> None:
    aws.add_function("earnings-lambda", seconds=3_600)
    add_rule("exact", OTHER, "earnings-lambda")
    asked = Asked(
        database, "dev", "ingestion.run", lambda: runs.start(database, ANN, Request(OTHER))
    )
    with database.write() as session:
        found = environments.get(session, SYSTEM, name="dev")
        environments.update(
            session, SYSTEM, name="dev", version=found.version, new_name="development"
        )
    assert asked.approved().status == "running"
