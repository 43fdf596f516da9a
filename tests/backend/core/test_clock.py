"""Times are written in one form wherever they leave the portal."""

import json
from datetime import UTC, datetime, timedelta

import pydantic
import pytest

from backend.cli import common
from backend.core import clock, csv_export

MOMENT = datetime(2026, 7, 1, 9, 30, 57, 858_423, tzinfo=UTC)


def test_json_of_commands_csv_and_documents_write_what_rest_models_write(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rest = json.loads(pydantic.TypeAdapter(datetime).dump_json(MOMENT))
    assert rest == "2026-07-01T09:30:57.858423Z"
    assert clock.iso(MOMENT) == rest
    assert csv_export.cell(MOMENT) == rest
    common.emit({"at": MOMENT}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"at": rest}


def test_tables_at_a_terminal_leave_out_the_fractions() -> None:
    assert common.table(["WHEN"], [[MOMENT], [None]]).split() == ["WHEN", "2026-07-01T09:30:57Z"]


def test_nothing_stays_nothing() -> None:
    assert clock.iso(None) is clock.to_the_second(None) is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-07-01", "2026-07-01T00:00:00Z"),
        (" 2026-07-01T09:30 ", "2026-07-01T09:30:00Z"),
        ("2026-07-01T09:30+02:00", "2026-07-01T07:30:00Z"),
    ],
)
def test_what_a_person_types_is_utc_unless_it_says_else(typed: str, meant: str) -> None:
    assert clock.iso(clock.parse(typed)) == meant


@pytest.mark.parametrize("zone", ["+14:00", "-14:00", "Z", ""])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"])
def test_the_ends_of_the_calendar_can_be_typed_and_reckoned_with(moment: str, zone: str) -> None:
    found = clock.parse(moment + zone)
    assert (found - timedelta(days=1) < MOMENT) is (found + timedelta(days=1) < MOMENT)
    assert found.utcoffset() == timedelta(0)
