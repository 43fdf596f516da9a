"""What the Overview page says about tokenization."""

from backend.connections import environments
from backend.core.access import Actor, Role
from backend.tokenization import watch
from backend.tokenization.alerts import alerts
from tests.backend.tokenization.world import ADMIN, STEWARD, World


def said(world: World) -> list[tuple[str, str]]:
    with world.database.read() as session:
        return [(item.severity, item.text) for item in alerts(session, STEWARD)]


def test_nothing_to_say(catalogued: World) -> None:
    catalogued.work(catalogued.start("customers"))

    assert said(catalogued) == []


def test_a_failed_run_until_the_next_one_succeeds(catalogued: World) -> None:
    catalogued.source.run("ALTER TABLE customers ADD CONSTRAINT c CHECK (email LIKE '%@%')")
    catalogued.work(catalogued.start("customers"))

    assert said(catalogued)[0][1].endswith("ended as failed (run 1).")

    catalogued.source.run("ALTER TABLE customers DROP CONSTRAINT c")
    catalogued.work(catalogued.start("customers"))
    assert said(catalogued) == []


def test_a_proof_that_datahub_has_not_taken(catalogued: World) -> None:
    run = catalogued.start("customers")
    with catalogued.gms.faults.inject(status=500):
        catalogued.work(run)

    ((severity, text),) = said(catalogued)
    assert severity == "warning"
    assert text.startswith("A tokenization run is not recorded in DataHub yet")


def test_a_tag_that_nothing_can_answer(catalogued: World) -> None:
    catalogued.gms.store.upsert(
        catalogued.source.urn("customers"),
        "editableSchemaMetadata",
        {"editableSchemaFieldInfo": []},
    )
    watch.poll(catalogued.database, STEWARD)

    ((_, text),) = said(catalogued)
    assert "cannot be answered: No column of" in text


def test_everybody_who_may_see_runs_sees_it(catalogued: World) -> None:
    viewer = Actor(id=5, name="v", role=Role.VIEWER, kind="user")
    with catalogued.database.read() as session:
        assert alerts(session, viewer) == []


def test_nothing_of_an_environment_that_is_gone(catalogued: World) -> None:
    catalogued.source.run("ALTER TABLE customers ADD CONSTRAINT c CHECK (email LIKE '%@%')")
    run = catalogued.start("customers")
    with catalogued.gms.faults.inject(status=500):
        catalogued.work(run)
    catalogued.gms.store.upsert(
        catalogued.source.urn("customers"),
        "editableSchemaMetadata",
        {"editableSchemaFieldInfo": []},
    )
    watch.poll(catalogued.database, STEWARD)
    assert len(said(catalogued)) == 3

    with catalogued.database.write() as session:
        (only,) = environments.list_all(session, ADMIN)
        environments.remove(session, ADMIN, name=only.name, confirm_name=only.name)
    assert said(catalogued) == []
