"""What the suite's engines have compiled is shared by those whose databases speak alike."""

from pathlib import Path

from sqlalchemy import Integer, bindparam, select

from backend.core.database import Database


def _compiled(database: Database, number: int, name: str = "of_test_statements") -> int:
    """How many statements the engine has compiled once it has run this one."""
    with database.read() as session:
        asked = select(bindparam("number", number, Integer).label(name))
        assert session.execute(asked).scalar_one() == number
    return len(database.engine._compiled_cache or ())


def test_a_second_database_finds_what_the_first_has_compiled(tmp_path: Path) -> None:
    first, second = (Database(f"sqlite:///{tmp_path}/{name}") for name in "ab")
    try:
        assert first.engine.dialect is not second.engine.dialect
        _compiled(first, 1, "which_only_the_first_runs")
        assert _compiled(first, 1) == _compiled(second, 2) >= 2
    finally:
        first.dispose()
        second.dispose()


def test_a_server_of_another_version_shares_nothing(tmp_path: Path) -> None:
    first, second = (Database(f"sqlite:///{tmp_path}/{name}") for name in "ab")
    try:
        before = _compiled(first, 1)
        _compiled(second, 1)  # it knows its version now
        second.engine.dialect.server_version_info = (1, 2, 3)
        assert _compiled(second, 2) == before + 1
    finally:
        first.dispose()
        second.dispose()
