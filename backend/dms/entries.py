"""Rows of the ledger, read without trusting them: the table belongs to others."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from . import shape
from .errors import RequestValidationException


@dataclass(frozen=True)
class LedgerEntry:
    """One row of the ledger. Times are naive UTC.

    id: None where the table has none. created_at, jobid: None when they cannot be read; `problem`
    then says what the row holds instead, one sentence, else "".
    """

    id: int | None
    created_at: datetime | None
    updated_at: datetime | None
    deleted_at: datetime | None
    deleted: bool
    version: str | None
    backup_target_id: str
    jobid: int | None
    host: str
    mounted: bool
    problem: str = ""

    @property
    def key(self) -> str:
        """What names the row: its id, or job, target and host."""
        return shape.key_of(self.id, self.jobid, self.backup_target_id, self.host)


def check(**named: Any) -> None:
    """What is looked for: job_id and limit are integers, the rest is text.

    Raises RequestValidationException; a job's id as text would only never be found. What no
    database holds (a number beyond 64 bits, a NUL) its own answer refuses.
    """
    problems = []
    for name, value in named.items():
        number = name in ("job_id", "limit")
        if isinstance(value, bool) or not isinstance(value, int if number else str):
            what = "an integer" if number else "text"
            problems.append(f"{name} must be {what}, not {type(value).__name__}")
        elif name == "limit" and value < 0:
            problems.append("limit must be 0 or more")
    if problems:
        raise RequestValidationException(problems)


def read(row: Sequence[Any]) -> LedgerEntry:
    """`row`: the columns of `Shape.selected`."""
    reader = _Reader()
    found = dict(zip(shape.COLUMNS, row, strict=True))
    return LedgerEntry(
        id=found["id"],
        created_at=reader.moment("created_at", found["created_at"], needed=True),
        updated_at=reader.moment("updated_at", found["updated_at"]),
        deleted_at=reader.moment("deleted_at", found["deleted_at"]),
        deleted=reader.flag("deleted", found["deleted"]),
        version=None if found["version"] is None else reader.text("version", found["version"]),
        backup_target_id=reader.text("backup_target_id", found["backup_target_id"]),
        jobid=reader.number("jobid", found["jobid"]),
        host=reader.text("host", found["host"]),
        mounted=reader.flag("mounted", found["mounted"]),
        problem=reader.sentence(),
    )


def distinct(found: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """The first of each job, target and host: earlier versions of the client doubled rows."""
    first: dict[tuple[object, str, str], LedgerEntry] = {}
    for entry in found:
        first.setdefault((entry.jobid, entry.backup_target_id, entry.host), entry)
    return list(first.values())


def moment(value: Any) -> datetime | None:
    """A time as naive UTC, whatever the driver made of it. Raises ValueError for what is none."""
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    if not isinstance(value, datetime):
        raise ValueError
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def job(value: Any) -> Any:
    """A job's number, whatever type its column has; the value itself where it is none."""
    with contextlib.suppress(ValueError):
        return _whole(value)
    return value


def _whole(value: Any) -> int:
    if type(value) is int:
        return value
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    try:
        found = Decimal(text.strip())
    except ArithmeticError as exc:
        raise ValueError(text) from exc
    if not found.is_finite() or found.adjusted() > shape.MOST_DIGITS or found % 1:
        raise ValueError(text)
    return int(found)


class _Reader:
    """Reads one row's values and keeps what was wrong with them."""

    def __init__(self) -> None:
        self._wrong: list[str] = []

    def sentence(self) -> str:
        return f"{'; '.join(self._wrong)}." if self._wrong else ""

    def moment(self, name: str, value: Any, *, needed: bool = False) -> datetime | None:
        try:
            found = moment(value)
        except (ValueError, OverflowError):
            self._wrong.append(f"{name} holds {_shown(value)}, which is no time")
            return None
        if found is None and needed:
            self._wrong.append(f"{name} is empty")
        return found

    def flag(self, name: str, value: Any) -> bool:
        if isinstance(value, bytes):  # BIT(1)
            value = int.from_bytes(value, "big")
        if value is None or isinstance(value, int | bool):
            return bool(value)
        self._wrong.append(f"{name} holds {_shown(value)}, which is neither yes nor no")
        return False

    def number(self, name: str, value: Any) -> int | None:
        try:
            return _whole(value)
        except ValueError:
            self._wrong.append(f"{name} holds {_shown(value)}, which is no number")
            return None

    def text(self, name: str, value: Any) -> str:
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if value is None:
            self._wrong.append(f"{name} is empty")
            return ""
        return str(value)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
