"""An unknown domain of a plan's row, mapped where it is seen."""

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

    def test_viewers_may_not(self, open_page, world):
        world.plan()
        app = open_page(PAGE, role="viewer", kind="unknown_domain")
        assert not [k for k in keys(app, "button") if k and k.startswith("user_sync.map.")]
