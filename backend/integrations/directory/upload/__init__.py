"""A directory that is a file: CSV with a header line, or JSON."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from backend.core.errors import InvalidInput
from backend.integrations.directory.names import guess
from backend.integrations.directory.source import Mapper, Options, Page, listed

_DELIMITERS = ",;\t|"


class UploadSource:
    """See `source.Source`. Columns are found by their usual names unless a mapping says more."""

    def __init__(self, content: bytes, options: Options) -> None:
        self._content = content
        self._mapper = Mapper(options.mapping) if options.mapping.strip() else None

    def pages(self, most: int | None = None) -> Iterator[Page]:  # noqa: ARG002 - the seam's
        """One page, whatever is wanted. Raises InvalidInput naming the line that cannot be read."""
        if not self._content.strip():
            raise InvalidInput("No file of people was uploaded yet for this environment.")
        found = read(self._content)
        if self._mapper is not None:
            people = self._mapper.people(found)
        else:
            people = _renamed(found if isinstance(found, list) else listed(found))
        yield Page(people, more=False)


def read(content: bytes) -> Any:
    """The document: JSON as it is, CSV as a list of rows by column. Raises InvalidInput."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidInput(
            f"The file is not UTF-8 (byte {exc.start + 1}). Save it as “CSV UTF-8”."
        ) from exc
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise InvalidInput(f"The file is not JSON: {str(exc)[:200]}.") from exc
    return _rows(text)


def _rows(text: str) -> list[dict[str, str | None]]:
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [name.strip() for name in next(lines, [])]
        if not any(columns):
            raise InvalidInput("No column has a name: the file's first line is empty.")
        if len(set(columns)) != len(columns):
            raise InvalidInput("The file's first line names a column twice.")
        found: list[dict[str, str | None]] = []
        for row in lines:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(columns):
                raise InvalidInput(
                    f"Line {lines.line_num} of the file has {len(row)} cells instead of "
                    f"{len(columns)}; a cell with a {delimiter!r} needs quotes."
                )
            found.append({name: cell or None for name, cell in zip(columns, row, strict=True)})
    except csv.Error as exc:
        raise InvalidInput(f"Line {lines.line_num} of the file is no CSV: {exc}.") from exc
    return found


def _renamed(rows: list[object]) -> list[object]:
    """Rows under the names the planner knows. Raises InvalidInput without an e-mail column."""
    if not rows:  # an export of nobody has no columns to look at
        return []
    # Of every row: JSON leaves out what a person does not have, the first one, too.
    columns = list(dict.fromkeys(key for row in rows if isinstance(row, dict) for key in row))
    known = guess(columns)
    if "email" not in known:
        raise InvalidInput(
            f"No column of the file looks like an e-mail (found: {', '.join(columns)[:200]}). "
            "Write a mapping, like [].{email: address, displayName: person}."
        )
    return [
        {field: row.get(column) for field, column in known.items()}
        if isinstance(row, dict)
        else row
        for row in rows
    ]
