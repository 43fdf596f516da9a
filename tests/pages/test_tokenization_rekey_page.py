"""The preview's method that makes old tokens anew."""

from backend.core.database import Database
from tests.backend.tokenization import conftest as rooms
from tests.backend.tokenization.world import BASE64, World, customers, make_world
from tests.fixtures.pages import OpenPage
from tests.pages.test_tokenization_page import PAGE, _no_broker, previewed, runs, texts

source, gms, world, catalogued = rooms.source, rooms.gms, rooms.world, rooms.catalogued
__all__ = ["_no_broker"]


def test_old_tokens_are_made_anew_by_a_method_of_its_own(
    open_page: OpenPage, catalogued: World
) -> None:
    catalogued.work(catalogued.start("customers"))
    with catalogued.source.connection() as connection, connection.cursor() as cursor:
        old = BASE64.token("person7@example.org")
        cursor.execute("UPDATE customers SET email = %s WHERE id = 7", (old,))
    app = previewed(open_page, catalogued)
    assert "No row holds a plain value" in texts(app, "markdown")

    app.segmented_control(key="tokenization.method").set_value("re-key").run()

    assert "**2 columns · 1 value** in 1 row" in texts(app, "markdown")
    assert "Tokens of the scheme base64 are decoded in the database" in texts(app, "info")
    app.button(key="tokenization.run").click().run()
    app.button(key="tokenization.confirm.confirm").click().run()
    run = runs(catalogued)[0]
    assert (run.method, catalogued.work(run).rows_updated) == ("re-key", 1)


def test_without_a_key_no_token_is_made_anew(
    open_page: OpenPage, database: Database, source: rooms.Source
) -> None:
    customers(source)
    world = make_world(database, source, scheme="base64")

    app = open_page(PAGE, role="steward", dataset=world.source.urn("customers"))

    ways = app.segmented_control(key="tokenization.method").proto.options
    assert [each.content for each in ways] == ["In place", "Rewrite"]
