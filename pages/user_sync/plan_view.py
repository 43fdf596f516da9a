"""One plan: tiles, filters, a page of its rows with what would change, ticks."""

import streamlit as st

from backend.core.access import Actor, Permission
from backend.core.words import counted
from backend.user_sync import service
from backend.user_sync.schemas import LABELS, PlanView, RowFilter, RowView
from pages.shared import filters, job_progress, status, tables, times
from pages.shell import calls
from pages.shell.errors import code, escape
from pages.user_sync import apply_dialog, diff_table, mapping, ticks

PAGE_SIZES = (25, 50, 100)
MEANINGS = {
    "changes": "The name or the domains differ; ticked rows are written when you apply.",
    "unknown_domain": "OpenMetadata has no such domain, or several of that name. The user's "
    "domains stay; a different name can still be written.",
    "not_found": "Nobody in OpenMetadata has this e-mail. Users are never created.",
    "duplicate": "The directory names the address twice with different values, or two users share "
    "it. Nothing is written.",
    "invalid": "No usable e-mail, control characters, the address of a bot, or a name in "
    "OpenMetadata that no database stores. Nothing is written.",
    "unchanged": "Nothing to do, or a difference that somebody ignored.",
    "leaver": "In OpenMetadata, no longer in the directory. Only to look at: nothing is ever "
    "changed.",
    "renamed": "Not in the directory, which has somebody of the same name and domain under another "
    "address. A suggestion: nothing is ever changed.",
}
#: Pills beside the kinds: what an apply can write, and every row.
CHANGES, EVERY = "changes", "rows"


def draw(actor: Actor, plan: PlanView) -> None:
    """The plan as it is: being made, failed, or ready for review."""
    if plan.state == "planning":
        st.caption(f"Plan {plan.id} of {escape(plan.environment)}")
        if plan.job_id is None:
            st.info("This plan is being made on a command line or over the API.")
        else:
            job_progress.awaited(
                plan.job_id,
                key="user_sync.planning",
                before=plan,
                read=lambda: calls.read(service.get_plan, plan_id=plan.id),
            )
        return
    job_progress.tell_of_end(plan.job_id)
    if plan.state == "failed":
        st.error(f"Plan {plan.id}: {escape(plan.error or 'It could not be made.')}")
        return
    wanted = _filters(plan)
    _ended(plan)
    page, size = _paging()
    found = calls.read(
        service.list_rows, plan_id=plan.id, wanted=wanted, offset=page * size, limit=size
    )
    if found.total == 0:
        st.info("No row fits these filters.")
    may_apply = actor.may(Permission.USER_SYNC_APPLY) and plan.run_id is None and not plan.expired
    if found.total:
        _table(plan, found.items, may_apply, actor.may(Permission.USER_SYNC_PLAN))
    with tables.foot():
        _download(plan)
        if found.total:
            _pager(found.total, page, size)
    mapping.dialog(plan)
    if may_apply and plan.changes:
        apply_dialog.draw(plan, found.items, wanted)


def _facts(plan: PlanView) -> None:
    """Everything about the plan itself, on one line; the rest when one asks."""
    age = times.relative(plan.created_at)
    facts = [f"**Plan {plan.id} of {escape(plan.environment)}**", *_found(plan), age]
    if plan.origin == "revert":
        facts.insert(1, f"takes back run {plan.reverts_run_id}")
    by = f"{escape(plan.actor_name)}{', by schedule' if plan.origin == 'schedule' else ''}"
    st.caption(
        " · ".join(facts),
        help=f"{_sides(plan)}. Created {times.exact(plan.created_at)} by {by}. "
        f"Expires {times.exact(plan.expires_at) or 'never'}. Digest `{plan.digest[:12]}`.",
    )


def _found(plan: PlanView) -> list[str]:
    fields = plan.fields
    counts: list[tuple[int, str, str]] = [
        (fields.get("displayName", 0), "name", "names"),
        (fields.get("look_alike", 0), "only in white space", "only in white space"),
        (fields.get("domains_added", 0), "gains a domain", "gain a domain"),
        (fields.get("domains_removed", 0), "loses one", "lose one"),
    ]
    return [counted(count, one, many) for count, one, many in counts if count]


def _ended(plan: PlanView) -> None:
    """Why nothing of it can be applied any more."""
    if plan.run_id is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            status.badge("applied")
            st.caption(f"This plan was applied: run {plan.run_id}.", width="content")
            st.button(
                f"Open run {plan.run_id}",
                key="user_sync.open_run",
                type="tertiary",
                on_click=_open_run,
                args=(plan.run_id,),
            )
    elif plan.expired:
        st.warning("This plan has expired. Plan again to apply changes.")


def _sides(plan: PlanView) -> str:
    """What was compared; a revert asks OpenMetadata only."""
    if plan.origin == "revert":
        written = counted(plan.directory_count, "change")
        return f"{written} of that run, compared with OpenMetadata {escape(plan.server_version)}"
    return (
        f"{plan.directory_count:,} people in the directory, {plan.listed_count:,} users in "
        f"OpenMetadata {escape(plan.server_version)}, {plan.matched_count:,} matched"
    )


def _open_run(run_id: int) -> None:
    st.query_params["run"] = str(run_id)
    st.query_params["view"] = "history"


def _filters(plan: PlanView) -> RowFilter:
    """The plan's facts with what narrows its rows beside them; under them the counts, as pills."""
    facts, narrow = st.columns([7, 4], vertical_alignment="center")
    with facts:
        _facts(plan)
    with narrow, filters.folded("plan", horizontal=True):
        found = filters.choice(
            "Domain",
            "domain",
            plan.domain_names,
            key="user_sync.domain",
            empty="All domains",
            label_visibility="collapsed",
        )
        words = filters.text(
            "E-mail or name",
            "text",
            key="user_sync.text",
            placeholder="name, e-mail",
            label_visibility="collapsed",
        )
    kind = filters.pills(
        "Rows",
        "kind",
        _pills(plan),
        CHANGES if plan.changes else EVERY,
        key="user_sync.kind",
        help="  \n".join(f"**{LABELS[name]}** {said}" for name, said in MEANINGS.items()),
    )
    return RowFilter(
        kinds=() if kind in (CHANGES, EVERY) else (kind,),
        domain=found,
        text=words,
        only_applicable=kind == CHANGES,
    )


def _pills(plan: PlanView) -> dict[str, str]:
    """What can be applied, every kind that the plan has, and all: each with its count."""
    return {name: f"{LABELS[name]} {count:,}" for name, count in plan.counts.items() if count}


def _paging() -> tuple[int, int]:
    size = st.session_state.get("user_sync.size", PAGE_SIZES[0])
    return max(0, (filters.number("page") or 1) - 1), size


def _table(plan: PlanView, shown: tuple[RowView, ...], may_apply: bool, may_map: bool) -> None:
    with st.container(border=True, gap="small"):
        for row in shown:
            if may_apply:
                tick, who, what = st.columns([0.4, 3, 7], vertical_alignment="center")
                with tick:
                    ticks.box(row)
            else:
                who, what = st.columns([3, 7], vertical_alignment="center")
            who.markdown(_who(row))
            what.html(diff_table.row_html(row) + _reason(row))
            if may_map:
                with what:
                    mapping.buttons(plan, row)


def _who(row: RowView) -> str:
    shown = "*no e-mail*"
    if row.email:
        # As code: a bare address would become a mailto link, beside links to OpenMetadata.
        email = row.email[:120]
        shown = f"[{escape(email)}]({row.user_url})" if row.user_url else code(email)
    if row.kind == "update":  # the diff beside it says so
        return shown
    colour = "gray" if row.kind == "unchanged" else "orange"
    return f"{shown} :{colour}-badge[{LABELS[row.kind]}]"


def _reason(row: RowView) -> str:
    from html import escape as html_escape

    return f'<div style="opacity:.75;font-size:.9em">{html_escape(row.why(beside_diff=True))}</div>'


def _pager(total: int, page: int, size: int) -> None:
    pages = max(1, -(-total // size))
    if page >= pages:
        st.query_params.pop("page", None)
        st.rerun()
    where = f"Page {page + 1:,} of {pages:,} · " if pages > 1 else ""
    st.caption(f"{where}{counted(total, 'row')}", width="content")
    if total <= PAGE_SIZES[0]:
        return
    st.space("stretch")
    st.selectbox(
        "Rows per page",
        PAGE_SIZES,
        key="user_sync.size",
        format_func="{} rows".format,
        label_visibility="collapsed",
        width=130,
    )
    last = page + 1 >= pages
    st.button(
        "Previous page", key="user_sync.back", disabled=page == 0, on_click=_turn, args=(page,)
    )
    st.button("Next page", key="user_sync.next", disabled=last, on_click=_turn, args=(page + 2,))


def _turn(page: int) -> None:
    if page <= 1:
        st.query_params.pop("page", None)
    else:
        st.query_params["page"] = str(page)


def _download(plan: PlanView) -> None:
    tables.download_text(
        f"user-sync-plan-{plan.id}",
        lambda: calls.fetch(service.plan_csv, plan_id=plan.id),
        key="user_sync.plan_csv",
    )
