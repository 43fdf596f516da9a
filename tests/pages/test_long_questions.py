"""What takes long on the jobs' pages says so, can be stopped, and nothing late is shown."""

import threading
from typing import TYPE_CHECKING, Any

import pytest

from backend.connections import probing
from backend.connections.schemas import ConnectionConfig, TestResult
from backend.tokenization import preview, worklist
from pages.shared import beside
from tests.backend.tokenization import conftest as tokenization_rooms
from tests.backend.tokenization.world import World as Tokenization
from tests.backend.user_sync import conftest as user_sync_rooms
from tests.backend.user_sync.conftest import World as UserSync
from tests.fixtures.pages import OpenPage
from tests.pages import test_connections_page

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

directory, om = user_sync_rooms.directory, user_sync_rooms.om
prod, probed = test_connections_page.prod, test_connections_page.probed
source, gms, catalogued = (
    tokenization_rooms.source,
    tokenization_rooms.gms,
    tokenization_rooms.catalogued,
)
world = tokenization_rooms.world


@pytest.fixture
def sync(database: Any, actors: Any, om: Any, directory: Any) -> UserSync:
    return user_sync_rooms.make_world(database, actors, om, directory)


@pytest.fixture(autouse=True)
def _nothing_is_waited_for(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    # After the fixture, which lets other tests wait until the answer is there.
    monkeypatch.setattr(beside, "AT_ONCE", 0.0)


def stops(app: "AppTest") -> list[str]:
    """Keys of the buttons that stop something."""
    assert not app.exception
    return [button.key for button in app.button if button.label == "Stop"]


def said(app: "AppTest") -> str:
    kinds = (app.caption, app.info, app.success, app.warning, app.error, app.markdown)
    return "\n".join(str(each.value) for kind in kinds for each in kind)


def once_answered(app: "AppTest", key: str) -> "AppTest":
    """The page's next run after the answer is there."""
    app.session_state[key].answer.exception(60)
    return app.run()


class TestDirectory:
    def test_people_come_beside_the_page_and_belong_to_the_press(
        self, open_page: OpenPage, sync: UserSync
    ) -> None:
        app = open_page("user_sync/page.py", role="steward", view="sides")
        with sync.directory.faults.inject(latency=60):
            app.button(key="user_sync.try.ask").click().run()
            assert stops(app) == ["user_sync.try.stop"]
            assert not app.dataframe
        app = once_answered(app, "user_sync.try")
        assert "10 people read" in said(app)
        assert not stops(app)
        assert "10 people read" not in said(app.run())

    def test_what_comes_after_stop_is_dropped(self, open_page: OpenPage, sync: UserSync) -> None:
        app = open_page("user_sync/page.py", role="steward", view="sides")
        with sync.directory.faults.inject(latency=60):
            app.button(key="user_sync.try.ask").click().run()
            late = app.session_state["user_sync.try"]
            app.button(key="user_sync.try.stop").click().run()
            assert "Stopped before it had an answer" in said(app)
        late.answer.exception(60)
        app.run()
        assert "people read" not in said(app)
        assert "user_sync.try" not in app.session_state


class TestTokenization:
    def test_the_list_is_there_while_datahub_is_asked(
        self, open_page: OpenPage, catalogued: Tokenization
    ) -> None:
        with catalogued.gms.faults.inject(latency=60):
            app = open_page("tokenization/page.py", role="steward")
            assert stops(app) == ["tokenization.work.tagged.stop"]
            assert "DataHub has not said yet" in said(app)
            assert "Nothing is tagged" not in said(app)
        app = once_answered(app, "tokenization.work.tagged")
        assert "DataHub has not said yet" not in said(app)
        assert any("Likely columns" in each.value for each in app.dataframe)

    def test_a_click_is_not_lost_to_an_answer_that_comes_while_the_page_is_drawn(
        self, open_page: OpenPage, catalogued: Tokenization, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        let_go = threading.Event()
        monkeypatch.setattr(preview, "preview", lambda *_, **__: let_go.wait(60))
        dataset = catalogued.source.urn("customers")
        app = open_page("tokenization/page.py", role="steward", dataset=dataset)
        tags = app.session_state["tokenization.work.tagged"]
        tags.answer.exception(60)
        looks = iter([False])
        monkeypatch.setattr(tags.answer, "done", lambda: next(looks, True))
        app.button(key="tokenization.preview.asked.stop").click().run()
        let_go.set()
        assert "Stopped before it had an answer" in said(app)

    def test_a_preview_is_stopped_and_asked_for_again(
        self, open_page: OpenPage, catalogued: Tokenization, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, let_go = preview.preview, threading.Event()

        def slow(*args: Any, **more: Any) -> Any:
            assert let_go.wait(60)
            return real(*args, **more)

        monkeypatch.setattr(preview, "preview", slow)
        dataset = catalogued.source.urn("customers")
        app = open_page("tokenization/page.py", role="steward", dataset=dataset)
        assert "tokenization.preview.asked.stop" in stops(app)
        late = app.session_state["tokenization.preview.asked"]
        app.button(key="tokenization.preview.asked.stop").click().run()
        let_go.set()
        late.answer.exception(60)
        app.run()
        assert "Stopped before it had an answer" in said(app)
        assert not any("Column" in each.value for each in app.dataframe)
        app.button(key="tokenization.preview").click().run()
        app = once_answered(app, "tokenization.preview.asked")
        assert any("Column" in each.value for each in app.dataframe)

    def test_the_list_of_tables_has_the_focus_when_it_comes(
        self, open_page: OpenPage, catalogued: Tokenization, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, let_go = worklist.tables, threading.Event()

        def slow(*args: Any, **more: Any) -> Any:
            assert let_go.wait(60)
            return real(*args, **more)

        monkeypatch.setattr(worklist, "tables", slow)
        app = open_page("tokenization/page.py", role="steward")
        app.button(key="tokenization.pick").click().run()
        before = app.get("html")[-1].proto.body
        assert "portal-focus" in before
        assert "tokenization.pick.table" not in [each.key for each in app.selectbox]
        let_go.set()
        app = once_answered(app, "tokenization.pick.tables")
        assert "tokenization.pick.table" in [each.key for each in app.selectbox]
        assert app.get("html")[-1].proto.body != before


class TestConnections:
    @pytest.fixture
    def let_go(
        self, prod: None, probed: list[ConnectionConfig], monkeypatch: pytest.MonkeyPatch
    ) -> threading.Event:
        answers, let_go = probing.run, threading.Event()

        def slow(config: ConnectionConfig, **more: Any) -> TestResult:
            assert let_go.wait(60)
            return answers(config, **more)

        monkeypatch.setattr(probing, "run", slow)
        return let_go

    def test_a_save_is_said_at_once_and_its_test_can_be_stopped(
        self, open_page: OpenPage, let_go: threading.Event
    ) -> None:
        app = open_page("connections/page.py", kind="postgres")
        app.button(key=test_connections_page.key("save")).click().run()
        assert "connection of Prod is saved" in said(app)
        assert stops(app) == ["connections.one.stop"]
        let_go.set()
        app = once_answered(app, "connections.one")
        assert "answered in" in said(app)
        assert not stops(app)

    def test_unsaved_edits_are_tested_beside_the_page(
        self, open_page: OpenPage, let_go: threading.Event
    ) -> None:
        app = open_page("connections/page.py", kind="postgres")
        app.button(key=test_connections_page.key("test")).click().run()
        assert stops(app) == ["connections.draft.stop"]
        late = app.session_state["connections.draft"]
        app.button(key="connections.draft.stop").click().run()
        let_go.set()
        late.answer.exception(60)
        app.run()
        assert "Unsaved edits" not in said(app)
        assert "connections.draft" not in app.session_state
        let_go.clear()  # or the answer may be there, and be drawn, in the run of the press
        app.button(key=test_connections_page.key("test")).click().run()
        let_go.set()
        assert "Unsaved edits of PostgreSQL" in said(once_answered(app, "connections.draft"))
