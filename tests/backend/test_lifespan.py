"""What the app's process sets up before it serves."""

import asyncio
import sys
from collections.abc import Iterator

import pytest

from backend import lifespan
from backend.core.database import Database
from backend.core.settings import get_settings


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


@pytest.mark.usefixtures("quiet")
def test_a_setting_that_cannot_be_used_is_a_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(lifespan.os, "_exit", leave)
    monkeypatch.setenv("PORTAL_SANDBOX", "maybe")
    get_settings.cache_clear()

    async def serve() -> None:
        async with lifespan.lifespan(None):
            pass

    with pytest.raises(SystemExit, match="1"):
        asyncio.run(serve())
    said = capsys.readouterr().err
    assert said.startswith("The portal does not start. PORTAL_SANDBOX: ")
    assert "Traceback" not in said
    get_settings.cache_clear()
