"""doctor says everything that is wrong at once, also when no process could start."""

from pathlib import Path

import pytest

from backend.core.database import Database, get_database
from backend.core.doctor import examine

_WRONG = {
    "PORTAL_SANDBOX": "maybe",
    "PORTAL_DATABASE_URL": "nonsense",
    "PORTAL_SECRET_KEYS": "no-key",
}


class TestExamine:
    def test_names_unreadable_settings_and_what_else_is_wrong(
        self, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in _WRONG.items():
            monkeypatch.setenv(name, value)
        report = examine(get_database, (lambda _settings: ["the mapping is broken"],))
        text = "\n".join(report.problems)
        for expected in (*_WRONG, "the mapping is broken"):
            assert text.count(expected) == 1, text
        shown = {row.name: row.value for row in report.settings}
        assert shown["PORTAL_SANDBOX"] == "(cannot be used)"
        assert shown["PORTAL_LOG_LEVEL"] == "INFO"

    def test_a_folder_that_cannot_be_made_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("PORTAL_DATA_DIR", str(tmp_path / "file" / "state"))
        report = examine(get_database)
        assert report.problems
        assert all(line.startswith("PORTAL_DATA_DIR") for line in report.problems), report.problems

    def test_a_good_state_has_no_problem(self, database: Database) -> None:
        report = examine(lambda: database)
        assert report.problems == ()
        assert len(report.fine) == 2
