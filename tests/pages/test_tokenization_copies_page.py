"""Where else a run's values live, on the run's page."""

from typing import TYPE_CHECKING, Any

import pytest

from backend.jobs import broker, runner
from backend.tokenization import copies
from tests.backend.tokenization import conftest as rooms
from tests.backend.tokenization.world import STEWARD, World
from tests.fixtures.pages import OpenPage
from tests.pages.test_tokenization_page import PAGE, frame, texts

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

source, gms, world, catalogued = rooms.source, rooms.gms, rooms.world, rooms.catalogued


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "send", lambda *_: None)


class TestCopies:
    def listed(self, app: "AppTest") -> Any:
        (found,) = [each.value for each in app.dataframe if {"Table", "Why"} <= set(each.value)]
        return found

    def test_found_previewed_and_opened_with_its_column_ticked(
        self, open_page: OpenPage, catalogued: World
    ) -> None:
        source = catalogued.source
        source.run(
            "CREATE TABLE leads (note text, email text)", "INSERT INTO leads VALUES ('a','b')"
        )
        catalogued.gms.seed_dataset(source.urn("leads"), fields={"note": "text", "email": "text"})
        run = catalogued.work(catalogued.start("customers", "email"))
        app = open_page(PAGE, role="steward", run=str(run.id))

        app.button(key="tokenization.copies.find").click().run()
        assert list(self.listed(app)["Why"]) == ["column of the same name"]
        app.button(key="tokenization.copies.preview").click().run()
        with catalogued.database.read() as session:
            job_id = copies.previews(session, STEWARD, dataset=run.dataset).job_id
        runner.run(job_id, catalogued.database)
        app.run()

        assert not app.exception
        assert list(frame(app, "Plain rows")["Plain rows"]) == [1]
        opened = open_page(PAGE, role="steward", dataset=source.urn("leads"), column="email")
        assert "1 value" in texts(opened, "markdown")

    def test_viewers_find_but_do_not_preview(self, open_page: OpenPage, catalogued: World) -> None:
        source = catalogued.source
        catalogued.gms.seed_dataset(source.urn("leads"), fields={"email": "text"})
        run = catalogued.work(catalogued.start("customers", "email"))
        app = open_page(PAGE, role="viewer", run=str(run.id))

        app.button(key="tokenization.copies.find").click().run()

        assert list(self.listed(app)["Column"]) == ["email"]
        assert "tokenization.copies.preview" not in [each.key for each in app.button]
