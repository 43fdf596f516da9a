"""The Audit log page: filters in the address, pages, verification, export."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from backend.core import audit
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database

PAGE = str(Path(__file__).resolve().parents[2] / "pages" / "audit/page.py")
OpenPage = Callable[..., AppTest]
ANN = Actor(5, "ann", Role.STEWARD, "user")


@pytest.fixture
def open_page(sign_in_as: Callable[[str | None], None]) -> OpenPage:
    """open_page(by="ann") → the page as an admin sees it at `?by=ann`."""

    def open_it(**query: str) -> AppTest:
        sign_in_as("admin")
        app = AppTest.from_file(PAGE, default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    return open_it


@pytest.fixture
def events(database: Database) -> int:
    """120 rows: every third by ann."""
    with database.write() as session:
        for number in range(120):
            audit.record(
                session,
                SYSTEM if number % 3 else ANN,
                "mounts:mount:write",
                subject=f"<img src=x onerror=alert({number})>",
                outcome="succeeded",
                details={"number": number},
            )
    return 120


def shown(page: AppTest) -> list[int]:
    return [int(number) for number in page.dataframe[0].value["No."]]


def downloads(page: AppTest) -> list[str]:
    return [button.proto.label for button in page.get("download_button")]


class TestList:
    def test_is_bounded_and_goes_on(self, open_page: OpenPage, events: int) -> None:
        page = open_page()
        assert shown(page) == list(range(120, 20, -1))
        page.button(key="audit.next").click().run()
        assert shown(page) == list(range(20, 0, -1))
        page.button(key="audit.first").click().run()
        assert shown(page)[0] == 120

    def test_filters_come_from_the_address(self, open_page: OpenPage, events: int) -> None:
        page = open_page(by="ann", action="mounts:")
        assert len(shown(page)) == 40
        assert set(page.dataframe[0].value["By"]) == {"ann"}

    def test_a_changed_filter_is_in_the_address(self, open_page: OpenPage, events: int) -> None:
        page = open_page()
        page.text_input(key="audit.by").set_value("ann").run()
        assert page.query_params["by"] == "ann"
        assert len(shown(page)) == 40

    def test_an_empty_answer_says_so(self, open_page: OpenPage) -> None:
        page = open_page(by="nobody")
        assert page.info[-1].value == "No event fits these filters."

    def test_nonsense_in_the_address_is_no_crash(self, open_page: OpenPage, events: int) -> None:
        page = open_page(before="²", when="yesterday", outcome="'; --")
        assert not page.exception
        assert len(shown(page)) == 100


class TestOneEvent:
    def test_its_address_shows_it_wherever_the_list_is(
        self, open_page: OpenPage, events: int
    ) -> None:
        page = open_page(event="7", by="system")
        assert "No. 7" in " ".join(caption.value for caption in page.caption)
        assert page.query_params["event"] == "7"

    def test_one_that_is_not_there_is_a_sentence(self, open_page: OpenPage, events: int) -> None:
        page = open_page(event="777")
        assert page.warning[0].value == "There is no event 777 in the audit log."

    def test_an_auditor_reads_it_and_has_no_export(
        self, sign_in_as: Callable[[str | None], None], open_page: OpenPage, events: int
    ) -> None:
        page = open_page(event="7")
        assert downloads(page) == ["Download CSV"]
        sign_in_as("auditor")
        page.run()
        assert "No. 7" in " ".join(caption.value for caption in page.caption)
        assert downloads(page) == []


class TestVerify:
    def test_says_that_the_log_is_whole(self, open_page: OpenPage, events: int) -> None:
        page = open_page()
        page.button(key="audit.verify.ask").click().run()
        assert "120 events" in page.success[0].value

    def test_names_the_first_broken_row(
        self, open_page: OpenPage, database: Database, events: int
    ) -> None:
        with database.write() as session:
            session.execute(text("UPDATE audit_events SET actor_name = 'eve' WHERE number = 77"))
        page = open_page()
        page.button(key="audit.verify.ask").click().run()
        assert "77" in page.error[0].value


class TestExport:
    def test_is_of_what_the_filters_find_and_itself_in_the_log(
        self, open_page: OpenPage, events: int, saved: dict[str, Callable[[], bytes]]
    ) -> None:
        open_page(by="ann")
        lines = saved["Download CSV"]().decode().splitlines()
        assert len(lines) == 41
        assert all(",ann," in line for line in lines[1:])
        fresh = open_page(action="audit:event:export")
        assert shown(fresh) == [121]


def test_an_event_says_a_dataset_as_the_list_does_and_its_urn(
    open_page: OpenPage, database: Database
) -> None:
    urn = "urn:li:dataset:(urn:li:dataPlatform:athena,finance.prices,PROD)"
    with database.write() as session:
        audit.record(session, SYSTEM, "ingestion:run:start", subject=urn, outcome="accepted")
    page = open_page(event="1")
    assert not page.exception
    (said,) = [each.value for each in page.markdown if "ingestion" in each.value.lower()]
    assert "urn:" not in said
    assert any("finance.prices" in each.value and "urn" in each.value for each in page.caption)
