"""The preview of a run: what would change, what forbids it, and the choice of columns."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.core.access import Actor, Permission
from backend.core.words import counted
from backend.tokenization import engines, preview, service
from backend.tokenization.schemas import (
    REKEY_MEANS,
    REWRITE_MEANS,
    ColumnReport,
    Method,
    Preview,
    Trigger,
)
from backend.tokenization.sources import POSTGRES
from backend.tokenization.tokens import KEYED, Scheme
from pages.shared import beside, confirm, primary, rows, tables, times
from pages.shell import calls, flash
from pages.shell.errors import escape

DIALOG = "tokenization.confirm"
_PREVIEW = "tokenization.preview.shown"
_ASKED = "tokenization.preview.asked"
_ORDER = "tokenization.preview.order"
_TABLE = "tokenization.table"
_SCHEME = "tokenization.scheme."
_METHOD = "tokenization.method"
_METHODS = {Method.IN_PLACE: "In place", Method.REWRITE: "Rewrite", Method.REKEY: "Re-key"}
_MEANS = {Method.REWRITE: REWRITE_MEANS, Method.REKEY: REKEY_MEANS}


def draw(actor: Actor, environment: str, dataset: str) -> None:
    """Preview the dataset, tick columns in its table, and run."""
    if not actor.may(Permission.TOKENIZATION_PREVIEW):
        return
    asked, found = st.session_state.get(_PREVIEW, (None, None))
    with st.container(key="tokenization.shown"):
        with st.container(horizontal=True, vertical_alignment="center"):
            title, place = st.container(width="content"), st.container(width="content")
            st.space("stretch")
            method_place = st.container(width="content")
            st.button(
                "Preview again",
                key="tokenization.preview",
                icon=":material/refresh:",
                help="Looks at the real table in a read-only transaction; nothing is changed.",
                on_click=_forget_answer,
            )
        if asked != (environment, dataset):
            _forget_choice()
            named = st.query_params.get_all("column") or None
            found = _load(environment, dataset, named, {}, Method.IN_PLACE)
        if found is None:
            return
        title.header(escape(str(found.table)), anchor=False)
        place.caption(_cost(found))
        _warnings(found)
        wanted = _columns(found)
        schemes = _ask_schemes(found, wanted)
        with method_place:
            method = _ask_method(found)
        shown = {choice.name: choice.scheme for choice in found.choices}
        if ({name: schemes.get(name, found.scheme) for name in wanted}, method) != (
            shown,
            found.report.method,
        ):
            # What was ticked is counted and checked at once; the numbers below are always its own.
            if _load(environment, dataset, wanted, schemes, method) is not None:
                st.rerun()
            return
        _run(actor, found)
        rows.show((environment, dataset), key="tokenization.shown")


def current(environment: str, dataset: str) -> Preview | None:
    """The preview on the page, while it is of this dataset."""
    asked, found = st.session_state.get(_PREVIEW, (None, None))
    return found if asked == (environment, dataset) else None


def _forget_answer() -> None:
    st.session_state.pop(_PREVIEW, None)
    beside.forget(_ASKED)


def forget() -> None:
    _forget_answer()
    st.query_params.pop("column", None)
    rows.put_away("tokenization.shown")


def _forget_choice() -> None:
    for key in [str(key) for key in st.session_state]:
        if key in (_ORDER, _TABLE, _METHOD) or key.startswith(_SCHEME):
            del st.session_state[key]


def _load(
    environment: str,
    dataset: str,
    columns: list[str] | None,
    schemes: dict[str, str],
    method: Method,
) -> Preview | None:
    """None while it is under way (a large table takes a while to count), when it was stopped, and
    after an error, which is shown; it is not asked again until a person does."""
    question = (environment, dataset, tuple(columns or ()), tuple(sorted(schemes.items())), method)
    found = beside.shown(
        _ASKED,
        question,
        calls.bound(
            preview.preview,
            dataset=dataset,
            columns=columns,
            environment=environment or None,
            schemes=schemes,
            method=method,
        ),
    )
    if found is not None:
        st.session_state[_PREVIEW] = ((environment, dataset), found)
    return found


def _cost(found: Preview) -> str:
    """Rows, size, how long the table is held by this environment's pace so far."""
    report = found.report
    parts = [f"{_number(report.rows_total)} rows"]
    if report.bytes_total is not None:
        parts.append(f"{report.bytes_total / 1_000_000:,.1f} MB")
    if found.seconds_estimated is not None:
        parts.append(f"writers wait about {times.duration(found.seconds_estimated)}")
    parts.append("tokens can be turned back" if found.reversible else f"scheme {found.scheme}")
    return escape(" · ".join(parts))


def _warnings(found: Preview) -> None:
    report = found.report
    if found.reversible:
        st.warning(
            "The scheme base64 can be reversed by anybody who sees a token; an admin can set "
            "a keyed one on the connections page.",
            icon=":material/lock_open:",
        )
    for blocker in report.all_blockers:
        st.error(escape(blocker), icon=":material/block:")
    if found.catalog_note:
        st.info(escape(found.catalog_note), icon=":material/info:")
    warnings = list(report.warnings)
    warnings += [
        f"{column.name}: {warning}"
        for column in report.columns
        if column.selected
        for warning in column.warnings
    ]
    if warnings:
        with st.expander(f"Warnings ({len(warnings)})", icon=":material/warning:"):
            st.markdown("\n".join(f"- {escape(warning)}" for warning in warnings))


def _columns(found: Preview) -> list[str]:
    """The table in which columns are ticked; guesses come first and are never ticked beforehand."""
    by_name = {column.name: column for column in found.report.columns}
    if _ORDER not in st.session_state:
        st.session_state[_ORDER] = sorted(by_name, key=lambda name: _rank(by_name[name]))
    columns = [by_name[name] for name in st.session_state[_ORDER] if name in by_name]
    if _TABLE not in st.session_state:
        ticked = [place for place, column in enumerate(columns) if column.selected]
        st.session_state[_TABLE] = {"selection": {"rows": ticked, "columns": [], "cells": []}}
    tables.show(
        columns,
        _row,
        key=_TABLE,
        alt="Columns of the table; Shift and Space tick one",
        states=("Guess",),
        config={
            "Column": st.column_config.TextColumn(width="small"),
            "Why": st.column_config.TextColumn(width=300),
            "Rows": st.column_config.NumberColumn(format="localized", width="small"),
        },
        placeholder="",
        ticks=True,
    )
    ticks = st.session_state[_TABLE]["selection"]["rows"]
    return [columns[place].name for place in ticks if place < len(columns)]


def _rank(column: ColumnReport) -> tuple[bool, ...]:
    return (
        not column.selected,
        bool(column.blockers),
        not column.suggested,
        not column.possible,
    )


def _row(column: ColumnReport) -> dict[str, Any]:
    sample = column.samples[0] if column.samples else None
    return {
        "Column": column.name,
        "Guess": "blocked" if column.blockers else column.tier,
        "Why": _blocked(column.blockers) or column.reason,
        "Type": column.type,
        "Fits": "" if column.blockers else column.fits,
        "Rows": column.rows_to_update,
        "Before → after": f"{sample.before} → {sample.after}" if sample else "",
    }


def _blocked(blockers: Sequence[str]) -> str:
    """The first is reason enough, and all of a chosen column stand above the table."""
    more = len(blockers) - 1
    return f"{blockers[0]}, and {more} more" if more > 0 else "".join(blockers)


def _ask_schemes(found: Preview, wanted: list[str]) -> dict[str, str]:
    """A keyed scheme for each column, where the environment's is one; only what differs from it."""
    if found.reversible or not wanted:
        return {}
    by_name = {column.name: column for column in found.report.columns}
    names = [scheme.value for scheme in KEYED]
    with (
        st.expander("Token length by column", icon=":material/straighten:"),
        st.container(horizontal=True),
    ):
        chosen = {
            name: st.selectbox(
                escape(name),
                names,
                index=names.index(by_name[name].scheme or found.scheme),
                format_func=_length,
                key=_SCHEME + name,
                width=260,
            )
            for name in wanted
        }
    return {name: scheme for name, scheme in chosen.items() if scheme != found.scheme}


def _ask_method(found: Preview) -> Method:
    """How to write, among the ways that the source has and nothing forbids."""
    reasons, current = found.report.rewrite_blockers, found.report.method
    ways = [
        way
        for way in engines.methods(found.engine)
        if way in (Method.IN_PLACE, current) or not _forbidden(found, way)
    ]
    if len(ways) == 1:
        return Method.IN_PLACE
    if st.session_state.get(_METHOD) not in ways:
        st.session_state[_METHOD] = current
    meant = "\n\n".join(
        f"{_METHODS[way]} means:\n{_listed(_MEANS[way])}" for way in ways if way in _MEANS
    )
    not_rewritten = f"The table cannot be rewritten: {escape('; '.join(reasons))}.\n\n"
    chosen = st.segmented_control(
        "Method",
        ways,
        format_func=_METHODS.__getitem__,
        key=_METHOD,
        required=True,
        label_visibility="collapsed",
        help=(not_rewritten if found.engine == POSTGRES and reasons else "") + meant,
    )
    return Method(chosen or Method.IN_PLACE)


def _forbidden(found: Preview, way: Method) -> bool:
    if way is Method.REWRITE:
        return bool(found.report.rewrite_blockers)
    return way is Method.REKEY and found.reversible


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {escape(sentence)}" for sentence in sentences)


def _length(scheme: str) -> str:
    return f"{scheme} ({Scheme(scheme).length} characters)"


def _run(actor: Actor, found: Preview) -> None:
    """What is ticked, what it costs, and the button."""
    report, count = found.report, len(found.choices)
    if report.method in _MEANS:
        st.info(_listed(_MEANS[report.method]))
    if report.all_blockers:
        return
    values = sum(column.rows_to_update or 0 for column in report.columns if column.selected)
    clean_up = False
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        if not count:
            st.markdown("Tick the columns that shall get tokens.")
            return
        st.markdown(
            f"**{counted(count, 'column')} · {counted(values, 'value')}** in "
            f"{counted(report.rows_to_update or 0, 'row')} · old values stay in WAL and backups "
            "until they expire"
            if report.rows_to_update != 0
            else "**No row holds a plain value**: a run would change none and only write the "
            "outcome to DataHub."
        )
        st.space("stretch")
        if found.engine == POSTGRES:
            clean_up = st.checkbox(
                "Clean up afterwards",
                key="tokenization.clean_up",
                help="VACUUM, ANALYZE and REFRESH: removes dead row versions and statistics, "
                "refreshes the materialized views named above, and checks all three.",
            )
        st.button(
            _action(report.rows_to_update),
            key="tokenization.run",
            type="secondary" if report.rows_to_update == 0 else "primary",
            icon=":material/lock:",
            disabled=not actor.may(Permission.TOKENIZATION_RUN),
            shortcut=primary.key(),
            on_click=confirm.open_dialog,
            args=(DIALOG,),
        )
    _ask(found, clean_up=clean_up)


def _ask(found: Preview, *, clean_up: bool) -> None:
    changes = found.report.rows_to_update
    typed = service.needs_confirmation(found.is_production, changes)
    confirm.ask(
        DIALOG,
        title="Replace the values by tokens?" if changes != 0 else "Run without a row to change?",
        body=lambda: _sure(found),
        action="Tokenize now" if changes != 0 else "Run now",
        on_confirm=lambda: _start(found, clean_up=clean_up),
        rule=(service.action_of(found.report.method), found.environment),
        typed=found.table.table if typed else None,
    )


def _action(rows: int | None) -> str:
    if rows == 0:
        return "Write the outcome to DataHub …"
    return "Tokenize …" if rows is None else f"Tokenize {counted(rows, 'row')} …"


def _sure(found: Preview) -> None:
    columns = ", ".join(f"**{escape(choice.name)}**" for choice in found.choices)
    where = f"**{escape(str(found.table))}** ({escape(found.environment)})"
    if found.report.rows_to_update == 0:
        st.markdown(
            f"No row of {where} held a plain value in {columns}. Those that have come since get "
            "tokens; the run is recorded, and its outcome written to DataHub."
        )
    else:
        st.markdown(
            f"{_number(found.report.rows_to_update)} of {_number(found.report.rows_total)} rows of "
            f"{where} get tokens in {columns}. All rows change in one transaction, or none."
        )
    st.warning(
        "A keyed token cannot be turned back into its value: afterwards only a backup has the "
        "values."
        if not found.reversible
        else "Anybody can turn these tokens back into the values.",
        icon=":material/warning:",
    )


def _start(found: Preview, *, clean_up: bool) -> None:
    """Queue the run; whatever happens is said after the dialog's rerun."""
    run = calls.run(
        service.start,
        dataset=found.dataset,
        columns=[choice.name for choice in found.choices],
        environment=found.environment,
        trigger=Trigger.PAGE,
        reasons={choice.name: choice.reason for choice in found.choices},
        places={choice.name: choice.place for choice in found.choices},
        schemes={
            choice.name: choice.scheme for choice in found.choices if choice.scheme != found.scheme
        },
        method=found.report.method,
        clean_up=clean_up,
        rows_expected=found.report.rows_to_update,
        confirmation=found.table.table,
    )
    if run is None:
        return
    forget()
    st.session_state.pop("tokenization.work.tagged", None)  # its tags are about to change
    st.query_params["run"] = str(run.id)
    st.query_params["view"] = "runs"
    flash.info(f"Run {run.id} is on its way.")


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
