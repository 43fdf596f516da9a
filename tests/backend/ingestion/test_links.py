"""The "Run ingestion" link on DataHub's pages: ours comes and goes, everybody else's stays."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from backend.connections import environments
from backend.connections import service as connections
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import NotFound, NotPermitted
from backend.ingestion import links, mapping
from backend.integrations.datahub.client import DataHubClient
from backend.integrations.datahub.reads import ReadCalls
from backend.integrations.datahub.schemas import Dataset
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion.conftest import OTHER, URN, AddRule

WIKI = ("https://wiki.example.com/prices", "Wiki")
#: Same label, another page: somebody else's.
THEIRS = ("https://airflow.example.com/run", links.LABEL)


def _links(gms: StandIn, urn: str) -> set[tuple[str, str]]:
    aspect = gms.aspect(urn, "institutionalMemory") or {"elements": []}
    return {(link["url"], link["description"]) for link in aspect["elements"]}


@pytest.fixture
def linked(datahub: StandIn) -> StandIn:
    datahub.seed_dataset(URN, fields={"id": "int"}, links=[WIKI, THEIRS])
    return datahub


class TestPut:
    def test_datasets_with_a_target_get_the_link_and_keep_the_others(
        self, database: Database, linked: StandIn, add_rule: AddRule, actors: SimpleNamespace
    ) -> None:
        add_rule("exact", URN, "f")
        report = links.apply(database, actors.admin, mode="put")
        assert (report.changed, report.without_target, report.failed) == (1, 1, [])
        assert _links(linked, URN) == {WIKI, THEIRS, (links.link_url(URN, "dev"), links.LABEL)}
        assert _links(linked, OTHER) == set()

    def test_a_second_time_changes_nothing(
        self, database: Database, linked: StandIn, add_rule: AddRule, actors: SimpleNamespace
    ) -> None:
        add_rule("default", "", "f")
        links.apply(database, actors.admin, mode="put")
        report = links.apply(database, actors.admin, mode="put")
        assert (report.changed, report.unchanged) == (0, 2)

    def test_a_portal_that_moved_takes_its_link_along(
        self, database: Database, linked: StandIn, add_rule: AddRule, actors: SimpleNamespace,
        setenv: Callable[..., None],
    ) -> None:  # fmt: skip
        add_rule("exact", URN, "f")
        links.apply(database, actors.admin, mode="put")
        setenv(PORTAL_PUBLIC_URL="https://portal.example.com")
        links.apply(database, actors.admin, mode="put")
        mine = {url for url, label in _links(linked, URN) - {WIKI, THEIRS}}
        assert mine == {links.link_url(URN, "dev")}
        assert links.link_url(URN, "dev").startswith(
            "https://portal.example.com/ingestion?dataset_urn="
        )

    def test_the_link_opens_the_environment_it_was_put_for(
        self, database: Database, linked: StandIn, add_rule: AddRule, actors: SimpleNamespace
    ) -> None:
        add_rule("exact", URN, "f")
        with database.write() as session:
            environments.add(session, SYSTEM, name="pre prod")
            connections.save(
                session, SYSTEM, environment="pre prod", kind="datahub",
                settings={"server": linked.url}, secrets_in={"token": linked.token},
            )  # fmt: skip
            mapping.put(
                session, SYSTEM, kind="default", pattern="", target="f", environment="pre prod"
            )
        links.apply(database, actors.admin, mode="put", environment="pre prod")
        links.apply(database, actors.admin, mode="put")
        assert {url.rpartition("&")[2] for url, _ in _links(linked, URN) - {WIKI, THEIRS}} == {
            "environment=dev", "environment=pre%20prod",
        }  # fmt: skip
        links.apply(database, actors.admin, mode="remove", environment="pre prod")
        mine = {url for url, _ in _links(linked, URN) - {WIKI, THEIRS}}
        assert mine == {links.link_url(URN, "dev")}

    def test_a_link_without_an_environment_is_replaced_and_removed(
        self, database: Database, datahub: StandIn, add_rule: AddRule, actors: SimpleNamespace
    ) -> None:
        add_rule("default", "", "f")
        for urn in (URN, OTHER):
            old = links.link_url(urn, "dev").partition("&environment=")[0]
            datahub.seed_dataset(urn, fields={"id": "int"}, links=[(old, links.LABEL)])
        links.apply(database, actors.admin, mode="put", dataset_urns=[URN])
        assert _links(datahub, URN) == {(links.link_url(URN, "dev"), links.LABEL)}
        links.apply(database, actors.admin, mode="remove")
        assert _links(datahub, URN) == _links(datahub, OTHER) == set()

    def test_many_datasets_are_read_together_their_tags_included(
        self, database: Database, datahub: StandIn, add_rule: AddRule, actors: SimpleNamespace,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        for number in range(links.BATCH + 1):
            urn = f"urn:li:dataset:(urn:li:dataPlatform:athena,db.t{number},PROD)"
            datahub.seed_dataset(urn, fields={"id": "int"}, tags=["urn:li:tag:layer/source"])
        add_rule("tag", "layer/source", "f")
        links.apply(database, actors.admin, mode="put")
        reads: list[int] = []
        together = DataHubClient.datasets_with_links

        def counted(self: DataHubClient, urns: Sequence[str]) -> dict[str, Dataset]:
            reads.append(len(urns))
            return together(self, urns)

        monkeypatch.setattr(DataHubClient, "datasets_with_links", counted)
        monkeypatch.delattr(ReadCalls, "dataset")  # one by one is not asked
        report = links.apply(database, actors.admin, mode="put")
        assert (report.unchanged, report.without_target, report.failed) == (links.BATCH + 1, 2, [])
        assert reads == [links.BATCH, 3]

    def test_one_dataset_that_fails_is_named_and_the_others_go_on(
        self, database: Database, linked: StandIn, add_rule: AddRule, actors: SimpleNamespace
    ) -> None:
        add_rule("default", "", "f")
        gone = "urn:li:dataset:(urn:li:dataPlatform:athena,nobody.knows,PROD)"
        report = links.apply(database, actors.admin, mode="put", dataset_urns=[gone, OTHER])
        assert [urn for urn, _why in report.failed] == [gone]
        assert (links.link_url(OTHER, "dev"), links.LABEL) in _links(linked, OTHER)


class TestRemove:
    def test_only_ours_goes(
        self, database: Database, linked: StandIn, add_rule: AddRule, actors: SimpleNamespace
    ) -> None:
        add_rule("default", "", "f")
        links.apply(database, actors.admin, mode="put")
        report = links.apply(database, actors.admin, mode="remove")
        assert report.changed == 2
        assert _links(linked, URN) == {WIKI, THEIRS}
        assert _links(linked, OTHER) == set()


class TestRefusals:
    def test_without_datahub(
        self, database: Database, environment: str, actors: SimpleNamespace
    ) -> None:
        with pytest.raises(NotFound, match="no DataHub connection"):
            links.apply(database, actors.admin, mode="put")

    def test_only_admins(
        self, database: Database, environment: str, actors: SimpleNamespace
    ) -> None:
        with pytest.raises(NotPermitted):
            links.apply(database, actors.operator, mode="put")


@pytest.mark.parametrize("name", ["db.a%20b", "db.a b", "db.50%", "db.a+b&c", "数据.表"])
def test_the_link_names_the_dataset_as_it_is(name: str) -> None:
    urn = f"urn:li:dataset:(urn:li:dataPlatform:athena,{name},PROD)"
    query = parse_qs(urlsplit(links.link_url(urn, "dev")).query)
    assert query["dataset_urn"] == [urn]
