"""The mapping editor: rules of all sources, a test of a URN, import and export."""

from functools import partial
from typing import Any

import streamlit as st

from backend.core.access import Actor, Permission
from backend.core.errors import PortalError
from backend.ingestion import background, mapping, resolve
from backend.ingestion.ruleset import INVOCATIONS, PLATFORM, RULE_KINDS
from backend.ingestion.schemas import MappingView, RuleView
from pages.ingestion import run_view
from pages.shared import beside, confirm, filters, job_progress, tables
from pages.shell import calls, flash, guard
from pages.shell.errors import escape

PAGE = 200
_TABLE = "ingestion.rules.table"
_ANSWER = "ingestion.test.answer"
REMOVE = "ingestion.rule.remove"
_JOB = "ingestion.check.job"
_HELP = {
    "exact": "A whole dataset URN.",
    "tag": "A tag in DataHub, layer/source or urn:li:tag:layer/source.",
    "prefix": "The start of a dataset's name or of a whole URN; the longest wins.",
    "default": "When nothing else answers.",
}


def draw(actor: Actor, environment: str) -> None:
    """Everything about the mapping; changing it is for those who may."""
    guard.allowed(actor, Permission.INGESTION_MAPPING_WRITE, "change the mapping")
    text, kind = _ask()
    found = calls.read(
        mapping.view, environment=environment or None, text=text, kind=kind, limit=PAGE
    )
    for problem in found.problems:
        st.error(escape(problem), icon=":material/error:")
    for warning in found.warnings:
        st.warning(escape(warning), icon=":material/warning:")
    asked = " → ".join(n.replace("_", " ") for n in found.order)
    st.caption(f"The first of these that answers names the target: {asked}")
    chosen = _table(found)
    _test(environment, found.revision)
    if actor.may(Permission.INGESTION_MAPPING_WRITE) and environment:
        _editor(actor, found, chosen, environment)
        _exchange(environment)
        _check(environment)


def _ask() -> tuple[str, str]:
    left, right = st.columns([3, 1])
    with left:
        text = filters.text("Search", "q", key="ingestion.rules.q", placeholder="pattern or target")
    with right:
        kind = filters.choice("Kind", "kind", RULE_KINDS, key="ingestion.rules.kind")
    return text, kind


def _table(found: MappingView) -> RuleView | None:
    if not found.rules:
        st.info("No rule fits. Without a rule a dataset cannot be run from here.")
        return None
    opened = tables.choose(
        found.rules,
        _row,
        id_of=_identity,
        current=tables.remembered(_TABLE),
        title="Pattern",
        key=_TABLE,
        alt="Rules of the mapping, in the order in which they are asked",
        optional=("Remark", "Note", "Changed", "By"),
        file="ingestion-mapping",
        config={
            "Pattern": st.column_config.TextColumn("Pattern", width=380),
            "Target": st.column_config.TextColumn("Target", width=230),
        },
    )
    if found.total > len(found.rules):
        st.caption(f"{len(found.rules):,} of {found.total:,} rules; search to see others.")
    chosen = next((rule for rule in found.rules if _identity(rule) == opened), None)
    if chosen is not None:
        rule = f"{chosen.pattern or 'default'}\n→ {chosen.target.name}"
        st.code(rule, language=None, wrap_lines=True)
    if chosen is not None and not chosen.id:
        st.caption("This rule comes from outside the portal; change it where it is kept.")
        return None
    return chosen


def _identity(rule: RuleView) -> tuple[int, str, str]:
    """Rules from outside the portal have no number of their own."""
    return (rule.id, rule.kind, rule.pattern)


def _row(rule: RuleView) -> dict[str, Any]:
    return {
        "Kind": rule.kind,
        "Pattern": _short(rule),
        "Target": _target(rule),
        "Remark": rule.problem or rule.remark,
        "Note": rule.note,
        "Kept in": rule.source,
        "Changed": rule.updated_at,
        "By": rule.updated_by,
    }


def _short(rule: RuleView) -> str:
    """A pattern without what all dataset URNs begin and end with: the ends tell rules apart.

    The prefix of a URN keeps a mark of it, for the prefix of a name could read the same.
    """
    if rule.kind == "prefix":
        return rule.pattern.replace(PLATFORM, "urn:li:…:", 1)
    return rule.pattern.removeprefix(PLATFORM).removesuffix(")")


def _target(rule: RuleView) -> str:
    """A function, or a state machine by its name instead of its whole ARN."""
    if rule.target.kind == "lambda":
        return rule.target.name + (" (sync)" if rule.invocation == "sync" else "")
    return f"{rule.target.name.rpartition(':')[2]} (Step Functions)"


def _test(environment: str, revision: int) -> None:
    """revision: of the rules, for another one may answer otherwise."""
    with st.expander("Test a dataset against the rules", icon=":material/science:"):
        urn = st.text_input("Dataset URN", key="ingestion.test.urn")
        job = st.text_input("Data job URN (optional)", key="ingestion.test.job")
        if urn:
            about = environment, urn, job, revision
            ask = calls.bound(
                resolve.resolve,
                dataset_urn=urn,
                job_urn=job or None,
                environment=environment or None,
            )
            found = beside.shown(_ANSWER, about, ask)
            if found is not None:
                run_view.explain(found)
            # A file of rules or a tag in DataHub may be another one meanwhile.
            beside.button("Test again", _ANSWER, about, ask, icon=":material/refresh:")


def _editor(actor: Actor, found: MappingView, chosen: RuleView | None, environment: str) -> None:
    key = f"ingestion.rule.{chosen.id if chosen else 'new'}"
    with st.form(key, border=True, clear_on_submit=chosen is None):
        st.markdown("**Change this rule**" if chosen else "**Add a rule**")
        first, second, third = st.columns([1, 3, 2])
        kind = first.selectbox(
            "Kind",
            RULE_KINDS,
            index=RULE_KINDS.index(chosen.kind) if chosen else 0,
            key=f"{key}.kind",
            help="  \n".join(f"**{name}** {text}" for name, text in _HELP.items()),
        )
        pattern = second.text_input(
            "Pattern", chosen.pattern if chosen else "", key=f"{key}.pattern"
        )
        target = third.text_input(
            "Target",
            chosen.target.name if chosen else "",
            key=f"{key}.target",
            help="A Lambda function's name or ARN, or a state machine's ARN.",
        )
        fourth, fifth = st.columns([1, 5])
        invocation = fourth.selectbox(
            "Invocation",
            INVOCATIONS,
            index=INVOCATIONS.index(chosen.invocation) if chosen else 0,
            key=f"{key}.invocation",
            help="**async** hands the call over; its outcome is read from the function's log.  \n"
            "**sync** holds the call until the function has ended: its answer is the truth for "
            "every runtime, and Lambda does not try again.",
        )
        note = fifth.text_input("Note", chosen.note if chosen else "", key=f"{key}.note")
        if st.form_submit_button("Save rule", type="primary", key=f"{key}.save"):
            saved = calls.write(
                mapping.put,
                kind=kind,
                pattern=pattern,
                target=target,
                invocation=invocation,
                note=note,
                environment=environment,
                rule_id=chosen.id if chosen else None,
                revision=found.revision,
            )
            if saved is not None:
                flash.success("The rule is saved and counts from now on.")
                st.rerun()
    if chosen is not None:
        _remove(actor, found, chosen, environment)


def _remove(actor: Actor, found: MappingView, chosen: RuleView, environment: str) -> None:
    st.button(
        "Remove this rule …",
        key="ingestion.rule.remove.open",
        icon=":material/delete:",
        on_click=confirm.open_dialog,
        args=(REMOVE,),
    )

    def remove() -> None:
        try:
            calls.database().change(
                mapping.remove,
                actor,
                rule_id=chosen.id,
                environment=environment,
                revision=found.revision,
            )
        except PortalError as exc:
            flash.error(escape(exc.message))
        else:
            flash.success("The rule is removed.")

    confirm.ask(
        REMOVE,
        title="Remove this rule?",
        body=f"{chosen.kind} {chosen.pattern} → {chosen.target.name}",
        action="Remove",
        on_confirm=remove,
    )


def _exchange(environment: str) -> None:
    with st.expander("Import and export", icon=":material/swap_vert:"):
        left, right = st.columns(2)
        for column, form in ((left, "yaml"), (right, "json")):
            column.download_button(
                f"Export as {form.upper()}",
                partial(calls.fetch, mapping.export_text, format=form, environment=environment),
                file_name=f"ingestion_mapping.{form}",
                key=f"ingestion.export.{form}",
                on_click="ignore",
                width="stretch",
            )
        given = st.file_uploader("JSON or YAML", type=["json", "yaml", "yml"], key="ingestion.file")
        whole = st.checkbox(
            "Remove rules that the document does not name", key="ingestion.import.replace"
        )
        if given is not None and st.button("Import", key="ingestion.import"):
            _import(given.getvalue(), whole, environment)


def _import(content: bytes, whole: bool, environment: str) -> None:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        st.warning("The file is not UTF-8 text.", icon=":material/warning:")
        return
    change = calls.write(mapping.import_text, text=text, replace_all=whole, environment=environment)
    if change is not None:
        flash.success(
            f"{change.added} rules added, {change.changed} changed, {change.removed} removed, "
            f"{change.unchanged} as before."
        )
        st.rerun()


def _check(environment: str) -> None:
    if st.button(
        "Check every target in AWS", key="ingestion.check", icon=":material/network_check:"
    ):
        job_id = calls.write(background.queue_check, environment=environment)
        if job_id is not None:
            st.session_state[_JOB] = job_id
    if st.session_state.get(_JOB):
        job_progress.show(st.session_state[_JOB], key="ingestion.check.progress")
