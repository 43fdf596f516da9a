"""Old → new as HTML with the changed part marked; everything from outside is escaped."""

from collections.abc import Sequence
from html import escape

from backend.user_sync.fields import ATTRIBUTES
from backend.user_sync.schemas import DomainRef, RowView
from backend.user_sync.validation import segments, visible

SHOWN = 160
_OLD = (
    '<del style="background:light-dark(#ffd8d3,#5a1d16);color:light-dark(#7a1600,#ffc9c2);'
    'border-radius:3px">'
)
_NEW = (
    '<ins style="background:light-dark(#cdeed3,#12452a);color:light-dark(#0b4a1b,#bdf0cb);'
    'text-decoration:none;border-radius:3px">'
)
#: "auto-fill" keeps a column that a row leaves empty.
_COLUMNS = "display:grid;column-gap:1.5rem;" + (
    "grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr))"
)


def row_html(row: RowView) -> str:
    """What a row would change, or what both sides say: in columns that are the same in every row,
    under each other where there is no room for two."""
    parts = []
    if row.sets_name:
        parts.append(_line("Name", name_html(row.old_name, row.new_name)))
    else:
        name = row.old_name if row.user_id else row.new_name
        parts.append(_line("Name", _bdi(_whole(name)) if name else "<em>empty</em>"))
    parts.append(_domains(row))
    for name, (before, after) in row.texts.items():
        parts.append(_line(ATTRIBUTES[name].label, name_html(before, after)))
    return f'<div style="{_COLUMNS}">{"".join(parts)}</div>'


def _domains(row: RowView) -> str:
    """The user's own, and under them those of the teams, which no sync changes."""
    lines = ""
    if row.sets_domains:
        old = _marked(row.old_domains, row.new_domains, _OLD, "</del>")
        new = _marked(row.new_domains, row.old_domains, _NEW, "</ins>")
        lines = _line("Domains", f"{old} → {new}")
    elif row.old_domains:
        lines = _line("Domains", _names(row.old_domains))
    if row.inherited:
        lines += _line("Inherited from teams", _names(row.inherited))
    return f"<div>{lines}</div>" if lines else ""


def name_html(old: str | None, new: str | None) -> str:
    """Both names, their different parts marked, invisible characters written out."""
    if old is None or new is None:
        before = f"{_OLD}{_whole(old)}</del>" if old is not None else "<em>empty</em>"
        after = f"{_NEW}{_whole(new)}</ins>" if new is not None else "<em>empty</em>"
        return f"{_bdi(before)} → {_bdi(after)}"
    short_old, short_new = old[: SHOWN * 2], new[: SHOWN * 2]
    left, right = [], []
    for same, before, after in segments(short_old, short_new):
        if before:
            left.append(escape(before) if same else f"{_OLD}{escape(before)}</del>")
        if after:
            right.append(escape(after) if same else f"{_NEW}{escape(after)}</ins>")
    return (
        f"{_bdi(''.join(left))}{_more(old, short_old)} → "
        f"{_bdi(''.join(right))}{_more(new, short_new)}"
    )


def _whole(text: str) -> str:
    return escape(_cut(visible(text, spaces=not text.strip())))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text):,} characters)"


def _more(text: str, shown: str) -> str:
    return "" if len(text) == len(shown) else f"… <em>({len(text):,} characters)</em>"


def _bdi(html: str) -> str:
    """Right-to-left text must not turn the rest of the line around."""
    return f"<bdi>{html}</bdi>"


def _marked(refs: Sequence[DomainRef], others: Sequence[DomainRef], start: str, end: str) -> str:
    """The names, those that the other side does not have marked."""
    there = {ref.id for ref in others}
    shown = [
        name if ref.id in there else f"{start}{name}{end}"
        for ref in refs
        for name in (_bdi(escape(_cut(ref.fqn))),)
    ]
    return ", ".join(shown) or "<em>none</em>"


def _names(refs: Sequence[DomainRef]) -> str:
    names = ", ".join(ref.fqn for ref in refs)
    return _bdi(escape(_cut(names))) if names else "<em>none</em>"


def _line(label: str, html: str) -> str:
    return (
        '<div style="overflow-wrap:anywhere"><span style="opacity:.65">'
        f"{escape(label)}</span> {html}</div>"
    )
