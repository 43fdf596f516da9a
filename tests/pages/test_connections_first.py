"""The Connections page before there is an environment of one's own."""

from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from tests.fixtures.pages import OpenPage
from tests.pages.test_connections_page import PAGE, texts


class TestFirstEnvironment:
    def test_an_admin_adds_it_and_it_is_the_default(
        self, open_page: OpenPage, database: Database
    ) -> None:
        app = open_page(PAGE)
        assert "No environment yet" in app.info[0].value
        app.text_input(key="connections.add.name").input("Prod")
        app.button(key="connections.add.submit").click().run()
        assert not app.exception
        assert "Prod is added" in app.success[0].value
        with database.read() as session:
            assert environments.get(session, SYSTEM, name="prod").is_default

    def test_beside_the_sandbox_the_form_says_that_it_becomes_the_default(
        self, open_page: OpenPage, database: Database
    ) -> None:
        with database.write() as session:
            environments.add(session, SYSTEM, name="Sandbox", is_sandbox=True)
        app = open_page(PAGE)
        app.button(key="connections.open.add").click().run()
        assert "It becomes the default, used where no environment is named." in texts(app)
        app.text_input(key="connections.add.name").input("Prod")
        app.button(key="connections.add.submit").click().run()
        assert "It is the default now, used where no environment is named" in app.success[0].value
        app.button(key="connections.open.add").click().run()
        assert app.checkbox(key="connections.add.default").value is False
        assert "It becomes the default" not in texts(app)

    def test_a_bad_name_is_refused_in_words(self, open_page: OpenPage) -> None:
        app = open_page(PAGE)
        app.text_input(key="connections.add.name").input("<b>x")
        app.button(key="connections.add.submit").click().run()
        assert "letters, digits" in app.warning[0].value

    def test_others_are_told_to_ask(self, open_page: OpenPage) -> None:
        app = open_page(PAGE, role="viewer")
        assert "An admin can add one" in app.info[0].value
        assert not app.text_input
