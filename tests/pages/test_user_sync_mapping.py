"""An unknown domain of a plan's row, mapped where it is seen."""

import threading

from backend.user_sync import service
from pages.shared import beside
from tests.backend.user_sync import conftest as rooms
from tests.pages.test_user_sync_page import PAGE, keys, shown

directory, om, world = rooms.directory, rooms.om, rooms.world


class TestMapping:
    def test_an_unknown_domain_is_mapped_from_its_row(self, open_page, world):
        world.om.store.add_domain("Innovations")
        world.plan()
        app = open_page(PAGE, role="steward", kind="unknown_domain")
        (key,) = [k for k in keys(app, "button") if k and k.endswith(".Innovation")]
        app.button(key=key).click().run()
        assert app.selectbox(key="user_sync.map_choice").value == "Innovations", "the nearest name"
        app.button(key="user_sync.map_row.confirm").click().run()
        assert "is Innovations from the next plan on" in shown(app)
        row = world.row(world.plan(), "elif.yilmaz@example.com")
        assert [ref.fqn for ref in row.new_domains] == ["Innovations"]

    def test_the_domains_are_asked_beside_the_page(self, open_page, world, monkeypatch):
        real, let_go = service.list_domains, threading.Event()

        def slow(*args, **more):
            assert let_go.wait(60)
            return real(*args, **more)

        world.plan()
        app = open_page(PAGE, role="steward", kind="unknown_domain")
        monkeypatch.setattr(beside, "AT_ONCE", 0.0)
        monkeypatch.setattr(service, "list_domains", slow)
        (key,) = [k for k in keys(app, "button") if k and k.endswith(".Innovation")]
        app.button(key=key).click().run()
        assert "user_sync.map_choices.stop" in keys(app, "button")
        app.button(key="user_sync.map_row.confirm").click().run()
        assert "Choose a domain." in [each.value for each in app.error]
        let_go.set()
        app.session_state["user_sync.map_choices"].answer.result(60)
        assert app.run().selectbox(key="user_sync.map_choice").options

    def test_viewers_may_not(self, open_page, world):
        world.plan()
        app = open_page(PAGE, role="viewer", kind="unknown_domain")
        assert not [k for k in keys(app, "button") if k and k.startswith("user_sync.map.")]
