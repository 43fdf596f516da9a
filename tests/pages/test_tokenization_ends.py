"""What a job made is shown although it ended between two looks of the page at it."""

import pytest

from backend.jobs import broker, runner
from backend.tokenization import comparison, service
from backend.tokenization.schemas import RunState
from tests.backend.tokenization import conftest as rooms
from tests.backend.tokenization.world import STEWARD, World
from tests.fixtures.pages import OpenPage, answer_late

source, gms, world, catalogued = rooms.source, rooms.gms, rooms.world, rooms.catalogued

PAGE = "tokenization/page.py"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "send", lambda *_: None)


def test_a_run_shows_its_result(
    open_page: OpenPage, catalogued: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = catalogued.start("customers")
    catalogued.work(run)
    answer_late(monkeypatch, service, "get", state=RunState.RUNNING)
    app = open_page(PAGE, role="steward", run=str(run.id))
    assert not app.exception
    assert "50 of 50 rows were changed." in app.success[0].value


def test_a_comparison_is_not_said_to_agree(
    open_page: OpenPage, catalogued: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogued.work(catalogued.start("customers"))
    catalogued.source.run("UPDATE customers SET email = 'new@example.org' WHERE id = 7")
    with catalogued.database.write() as session:
        job = comparison.start(session, STEWARD)
    runner.run(job, catalogued.database)
    answer_late(monkeypatch, comparison, "latest", result=None, status="running", finished_at=None)
    app = open_page(PAGE, role="steward", view="check")
    assert not app.success
    assert [frame for frame in app.dataframe if "Difference" in frame.value]
