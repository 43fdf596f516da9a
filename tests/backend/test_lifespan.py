"""What the app's process sets up before it serves."""

import asyncio
import sys
from collections.abc import Iterator

import pytest

from backend import lifespan
from backend.core.database import Database


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, database: Database) -> Iterator[None]:
    """A start without job threads and sandbox; the interpreter is as before afterwards."""

    class Nothing:
        def __init__(self, _database: Database) -> None:
            pass

        def start(self) -> None:
            pass

        stop = start

    monkeypatch.setattr(lifespan, "_Background", Nothing)
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quiet")
def test_a_page_that_waited_for_the_database_goes_on_soon_beside_busy_threads() -> None:
    """Beside ten busy threads Python's 5 ms, waited after each query, are seconds of a page."""

    async def serve() -> float:
        async with lifespan.lifespan(None):
            return sys.getswitchinterval()

    assert asyncio.run(serve()) <= 0.001
