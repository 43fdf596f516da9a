"""The preview of a run: what would change, what forbids it, and the choice of columns."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from backend.core.access import Actor, Permission
from backend.core.errors import PortalError
from backend.core.words import counted
from backend.tokenization import preview, service
from backend.tokenization.schemas import REWRITE_MEANS, ColumnReport, Method, Preview, Trigger
from backend.tokenization.sources import POSTGRES
from backend.tokenization.tokens import KEYED, Scheme
from pages.shared import confirm
from pages.shell import calls, flash
from pages.shell.errors import escape

DIALOG = "tokenization.confirm"
_PREVIEW = "tokenization.preview.shown"
_COLUMNS = "tokenization.columns"
_SCHEME = "tokenization.scheme."
_METHOD = "tokenization.method"
_METHODS = {Method.IN_PLACE: "In place, readers go on", Method.REWRITE: "Rewrite the table"}


def draw(actor: Actor, environment: str, dataset: str) -> None:
    """Preview the dataset, tick columns, and run."""
    if not actor.may(Permission.TOKENIZATION_PREVIEW):
        return
    if st.button(
        "Preview",
        key="tokenization.preview",
        type="primary",
        icon=":material/visibility:",
        help="Looks at the real table in a read-only transaction; nothing is changed.",
    ):
        _forget_choice()
        _load(environment, dataset, None, {}, Method.IN_PLACE)
    found = current(environment, dataset)
    if found is None:
        return
    _head(found)
    _columns(found)
    _samples(found)
    wanted = _ask_columns(found)
    schemes = _ask_schemes(found, wanted)
    method, clean_up = _ask_method(found)
    shown = {choice.name: choice.scheme for choice in found.choices}
    asked = {name: schemes.get(name, found.scheme) for name in wanted}
    if (asked, method) != (shown, found.report.method):
        st.info("The choice of columns has changed; preview it before it can run.")
        if st.button("Preview this choice", key="tokenization.again", icon=":material/refresh:"):
            _load(environment, dataset, wanted, schemes, method)
            st.rerun()
        return
    _run(actor, found, clean_up=clean_up)


def current(environment: str, dataset: str) -> Preview | None:
    """The preview on the page, while it is of this dataset."""
    asked, found = st.session_state.get(_PREVIEW, (None, None))
    return found if asked == (environment, dataset) else None


def forget() -> None:
    st.session_state.pop(_PREVIEW, None)


def _forget_choice() -> None:
    for key in [str(key) for key in st.session_state]:
        if key in (_COLUMNS, _METHOD) or key.startswith(_SCHEME):
            del st.session_state[key]


def _load(
    environment: str,
    dataset: str,
    columns: list[str] | None,
    schemes: dict[str, str],
    method: Method,
) -> None:
    with st.spinner("Looking at the table; a large one takes a while to count …"):
        found = calls.run(
            preview.preview,
            dataset=dataset,
            columns=columns,
            environment=environment or None,
            schemes=schemes,
            method=method,
        )
    if found is None:
        forget()
    else:
        st.session_state[_PREVIEW] = ((environment, dataset), found)


def _head(found: Preview) -> None:
    report = found.report
    st.subheader(escape(str(found.table)), anchor=False)
    rows, change, columns, scheme = st.columns(4)
    rows.metric("Rows", _number(report.rows_total))
    change.metric("Rows that will change", _number(report.rows_to_update))
    columns.metric("Columns chosen", len(found.choices))
    scheme.metric("Scheme", "reversible" if found.reversible else "keyed", help=found.scheme)
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
        with st.expander(f"Warnings ({len(warnings)})", expanded=True, icon=":material/warning:"):
            st.markdown("\n".join(f"- {escape(warning)}" for warning in warnings))


def _columns(found: Preview) -> None:
    st.dataframe(
        pd.DataFrame(
            {
                "Column": [column.name for column in found.report.columns],
                "Type": [column.type for column in found.report.columns],
                "Chosen": ["✓" if column.selected else "" for column in found.report.columns],
                "Why": [_why(column) for column in found.report.columns],
                "Will change": [_number(c.rows_to_update) for c in found.report.columns],
                "Blocked by": [_blocked(column.blockers) for column in found.report.columns],
            }
        ),
        hide_index=True,
        width="stretch",
        key="tokenization.table",
        column_config={
            "Column": st.column_config.TextColumn(width="small"),
            "Type": st.column_config.TextColumn(width=130),
            "Chosen": st.column_config.TextColumn(width=60, alignment="center"),
            "Why": st.column_config.TextColumn(width=200),
            "Will change": st.column_config.TextColumn(width="small", alignment="right"),
            "Blocked by": st.column_config.TextColumn(width="large"),
        },
    )


def _blocked(blockers: Sequence[str]) -> str:
    """The first is reason enough, and all of a chosen column stand above the table."""
    more = len(blockers) - 1
    return f"{blockers[0]}, and {more} more" if more > 0 else "".join(blockers)


def _why(column: ColumnReport) -> str:
    return f"{column.tier}, needs your tick: {column.reason}" if column.tier else column.reason


def _samples(found: Preview) -> None:
    rows = [
        {"Column": column.name, "Now (masked)": sample.before, "After the run": sample.after}
        for column in found.report.columns
        for sample in column.samples
    ]
    if rows:
        with st.expander(f"Samples, masked ({len(rows)})", icon=":material/visibility_off:"):
            st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")


def _ask_columns(found: Preview) -> list[str]:
    """The person's ticks; guesses are offered first and never ticked beforehand."""
    columns = sorted(
        found.report.columns,
        key=lambda column: (not column.selected, not column.suggested, not column.possible),
    )
    possible = [column.name for column in columns if column.selected or not column.blockers]
    chosen = [choice.name for choice in found.choices]
    if _COLUMNS not in st.session_state:
        st.session_state[_COLUMNS] = chosen
    guesses = [column.name for column in columns if column.suggested and not column.blockers]
    return list(
        st.multiselect(
            "Columns to tokenize",
            possible,
            key=_COLUMNS,
            help="Guessed from names and values: " + ", ".join(guesses) if guesses else None,
            placeholder="Tick at least one column",
        )
    )


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


def _ask_method(found: Preview) -> tuple[Method, bool]:
    """How to write, and whether to clean up afterwards; PostgreSQL only."""
    if found.engine != POSTGRES:
        return Method.IN_PLACE, False
    reasons = found.report.rewrite_blockers
    how, after = st.columns(2, vertical_alignment="bottom")
    method = how.radio(
        "Method",
        list(_METHODS),
        format_func=_METHODS.__getitem__,
        index=list(_METHODS).index(found.report.method),
        key=_METHOD,
        horizontal=True,
        disabled=bool(reasons) and found.report.method is Method.IN_PLACE,
        help="\n".join(f"- {escape(sentence)}" for sentence in REWRITE_MEANS),
    )
    if reasons:
        st.caption(escape(f"The table cannot be rewritten: {'; '.join(reasons)}."))
    elif method is Method.REWRITE:
        st.info("\n".join(f"- {escape(sentence)}" for sentence in REWRITE_MEANS))
    clean_up = after.checkbox(
        "Clean up afterwards (VACUUM, ANALYZE, REFRESH)",
        key="tokenization.clean_up",
        help="Removes dead row versions and statistics, refreshes the materialized views named "
        "above, and checks all three.",
    )
    return method, clean_up


def _length(scheme: str) -> str:
    return f"{scheme} ({Scheme(scheme).length} characters)"


def _run(actor: Actor, found: Preview, *, clean_up: bool) -> None:
    rows = found.report.rows_to_update
    if not found.choices or found.report.all_blockers:
        return
    if rows == 0:
        st.success(
            "No row holds a plain value: a run would change none and only write the outcome to "
            "DataHub."
        )
    typed = found.table.table if service.needs_confirmation(found.is_production, rows) else None
    st.button(
        _action(rows),
        key="tokenization.run",
        type="secondary" if rows == 0 else "primary",
        icon=":material/lock:",
        disabled=not actor.may(Permission.TOKENIZATION_RUN),
        on_click=confirm.open_dialog,
        args=(DIALOG,),
    )
    confirm.ask(
        DIALOG,
        title="Replace the values by tokens?" if rows != 0 else "Run without a row to change?",
        body=lambda: _sure(found),
        action="Tokenize now" if rows != 0 else "Run now",
        on_confirm=lambda: _start(actor, found, clean_up=clean_up),
        typed=typed,
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


def _start(actor: Actor, found: Preview, *, clean_up: bool) -> None:
    """Queue the run; whatever happens is said after the dialog's rerun."""
    try:
        run = service.start(
            calls.database(),
            actor,
            dataset=found.dataset,
            columns=[choice.name for choice in found.choices],
            environment=found.environment,
            trigger=Trigger.PAGE,
            reasons={choice.name: choice.reason for choice in found.choices},
            schemes={
                choice.name: choice.scheme
                for choice in found.choices
                if choice.scheme != found.scheme
            },
            method=found.report.method,
            clean_up=clean_up,
            rows_expected=found.report.rows_to_update,
            confirmation=found.table.table,
        )
    except PortalError as exc:
        flash.warning(escape(exc.message))
        return
    forget()
    st.query_params["run"] = str(run.id)
    st.query_params["view"] = "runs"
    flash.info(f"Run {run.id} is on its way.")


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
