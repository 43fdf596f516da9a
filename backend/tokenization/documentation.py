"""The section that the portal keeps in a dataset's documentation; people's text stays around it.

DataHub's editor drops HTML comments, so the section is marked by lines that people see and that
survive editing: its heading and its last line.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from backend.tokenization.schemas import ColumnChoice, RunState, RunView

HEADING = "## Tokenization"
LAST_LINE = "_End of the tokenization section, kept by Steward Portal._"

_HIDES = (
    "- DataHub shows this text in place of the description that ingestion brought, which stays as "
    "it is; add to this text what readers should see."
)

# An editor may escape the underscores, use asterisks for italics, or change the heading's level.
_SECTION = re.compile(
    r"^#{1,6}[ \t]+Tokenization[ \t]*\r?$"
    r"(?:(?!^#{1,6}[ \t]+Tokenization[ \t]*\r?$)[\s\S])*?"
    r"^[\\_*]*End of the tokenization section, kept by Steward Portal\.[\\_*]*[ \t]*\r?$",
    re.MULTILINE,
)


def with_section(text: str, section: str) -> str:
    """`text` with its section replaced where it stands, or appended when it has none."""
    found = _SECTION.search(text)
    if found is None:
        body = text.rstrip()
        return f"{body}\n\n{section}" if body else section
    before, after = text[: found.start()], text[found.end() :]
    # A section that was doubled by copying is reduced to one.
    return before + section + _SECTION.sub("", after)


def without_section(text: str) -> str:
    """What people wrote around the section."""
    return _SECTION.sub("", text).strip()


def section(view: RunView, portal_url: str, *, hides: bool = False) -> str:
    """The section for a run that has ended. hides: DataHub shows it for an ingested description."""
    succeeded = view.state is RunState.SUCCEEDED
    columns = ", ".join(_column(column, view.scheme) for column in view.columns) or "none"
    lines = [
        HEADING,
        "",
        f"- Status: **{'SUCCESS' if succeeded else 'FAILED'}**",
        f"- Columns: {columns}",
        f"- Rows: {view.rows_scanned or 0:,} scanned, {view.rows_updated or 0:,} updated",
        f"- Started: {_instant(view.started_at)}",
        f"- Finished: {_instant(view.finished_at)}",
        f"- Run: [{view.id}]({portal_url}/tokenization?run={view.id}), asked for by "
        f"{_plain(view.actor)} ({view.trigger.value})",
        f"- Scheme: {view.scheme}",
        f"- Details: {_plain(view.details)}",
        *([_HIDES] if hides else []),
        "",
        LAST_LINE,
    ]
    return "\n".join(lines)


def _column(column: ColumnChoice, scheme: str) -> str:
    own = f" ({column.scheme})" if column.scheme not in ("", scheme) else ""
    return f"`{_code(column.name)}`{own}"


def refusal_section(*, waiting: bool, reason: str, suggested: Mapping[str, str], link: str) -> str:
    """The section for a tag that started no run. suggested: likely columns with their reasons."""
    named = [f"  - `{_code(name)}`: {_plain(why)}" for name, why in suggested.items()]
    columns = ["- Likely columns:", *named] if named else []
    todo = (
        "tag the fields that hold personal data with `tokenize/run`, or "
        if waiting
        else "mend this and put the tag `tokenize/run` on again, or "
    )
    lines = [
        HEADING,
        "",
        f"- Status: **{'WAITING' if waiting else 'FAILED'}**",
        f"- Reason: {_plain(reason)}",
        *columns,
        f"- Next: {todo}[open the dataset in Steward Portal]({link})",
        "",
        LAST_LINE,
    ]
    return "\n".join(lines)


def _instant(value: datetime | None) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S UTC") if value else "not started"


def _plain(text: str) -> str:
    """One line without markup of its own."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))


def _code(name: str) -> str:
    return " ".join(name.replace("`", "'").split())
