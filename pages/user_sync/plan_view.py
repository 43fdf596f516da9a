"""One plan: tiles, filters, a page of its rows with what would change, ticks."""

import streamlit as st

from backend.core.access import Actor, Permission
from backend.core.words import counted
from backend.user_sync import service
from backend.user_sync.schemas import KINDS, OBSERVED, PlanView, RowFilter, RowView
from pages.shared import filters, job_progress, rows, tables, times
from pages.shell import calls
from pages.shell.errors import code, escape
from pages.user_sync import apply_dialog, diff_table, mapping, ticks

PAGE_SIZES = (25, 50, 100)
LABELS = {
    "update": "Will change",
    "unchanged": "Same",
    "not_found": "Not in OpenMetadata",
    "unknown_domain": "Unknown domain",
    "invalid": "Invalid",
    "duplicate": "Duplicate",
    "leaver": "Not in the directory",
    "renamed": "Probably renamed",
}
MEANINGS = {
    "update": "The name or the domains differ; ticked rows are written when you apply.",
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
_CHANGING = {"update", "unknown_domain"}


def draw(actor: Actor, plan: PlanView) -> None:
    """The plan as it is: being made, failed, or ready for review."""
    with st.container():
        st.subheader(f"Plan {plan.id} of {escape(plan.environment)}", anchor=False)
        rows.show(plan.id, key="user_sync.plan_head")
    if plan.state == "planning":
        if plan.job_id is None:
            st.info("This plan is being made on a command line or over the API.")
        else:
            job_progress.show(plan.job_id, key="user_sync.planning")
        return
    if plan.state == "failed":
        st.error(escape(plan.error or "It could not be made."), icon=":material/error:")
        return
    _head(plan)
    _tiles(plan)
    wanted = _filters(plan)
    page, size = _paging()
    found = calls.read(
        service.list_rows, plan_id=plan.id, wanted=wanted, offset=page * size, limit=size
    )
    may_apply = actor.may(Permission.USER_SYNC_APPLY) and plan.run_id is None and not plan.expired
    if may_apply and plan.changes:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            apply_dialog.draw(plan, found.items)
            _ticks(plan, wanted, found.items)
    if found.total == 0:
        st.info("No row fits these filters.")
    else:
        _table(plan, found.items, may_apply, actor.may(Permission.USER_SYNC_PLAN))
        _pager(found.total, page, size)
    _download(plan)
    mapping.dialog(plan)


def _head(plan: PlanView) -> None:
    made = f"Created {times.relative(plan.created_at)} by {escape(plan.actor_name)}"
    if plan.origin == "revert":
        made += f", takes back run {plan.reverts_run_id}"
    elif plan.origin == "schedule":
        made += ", by schedule"
    sides = _sides(plan)
    st.caption(f"{made}. {sides}. Digest `{plan.digest[:12]}`.", help=times.exact(plan.created_at))
    if plan.run_id is not None:
        st.info(f"This plan was applied: run {plan.run_id}.", icon=":material/done_all:")
        st.button("Open the run", key="user_sync.open_run", on_click=_open_run, args=(plan.run_id,))
    elif plan.expired:
        st.warning("This plan has expired. Plan again to apply changes.")
    elif plan.expires_at:
        st.caption(f"Expires {times.relative(plan.expires_at)}.", help=times.exact(plan.expires_at))


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


def _tiles(plan: PlanView) -> None:
    with st.container(horizontal=True):
        for kind in KINDS:
            count = f"{plan.kinds.get(kind, 0):,}"
            st.metric(LABELS[kind], count, border=True, height="stretch", help=MEANINGS[kind])
        for kind in OBSERVED:
            if plan.observed[kind]:
                count = f"{plan.observed[kind]:,}"
                st.metric(LABELS[kind], count, border=True, height="stretch", help=MEANINGS[kind])
    fields = plan.fields
    elsewhere = plan.changes - plan.kinds.get("update", 0)
    only_in_name = f"of them only in name, under *{LABELS['unknown_domain']}*"
    only_in_form = "of them only in white space or Unicode form"
    parts: list[tuple[int, str, str]] = [
        (plan.changes if elsewhere > 0 else 0, "user can be changed", "users can be changed"),
        (elsewhere, only_in_name, only_in_name),
        (fields.get("displayName", 0), "display name changes", "display names change"),
        (fields.get("look_alike", 0), only_in_form, only_in_form),
        (fields.get("domains_added", 0), "user gets a domain", "users get a domain"),
        (fields.get("domains_removed", 0), "user loses one", "users lose one"),
    ]
    said = [
        f"**{count:,}** {one if count == 1 else many}" for count, one, many in parts if count > 0
    ]
    st.markdown(" · ".join(said) or "Nothing would change.")


def _filters(plan: PlanView) -> RowFilter:
    kind, domain, text, only = st.columns([3, 2, 3, 2], vertical_alignment="bottom")
    with kind:
        kinds = filters.choices(
            "Kind",
            "kind",
            (*KINDS, *OBSERVED),
            key="user_sync.kind",
            shown=LABELS.__getitem__,
            empty="All",
        )
    with domain:
        found = filters.choice("Domain", "domain", plan.domain_names, key="user_sync.domain")
    with text:
        words = filters.text(
            "E-mail or name", "text", key="user_sync.text", placeholder="part of it, any case"
        )
    # Whoever asks for kinds that never change anything wants to see them.
    possible = not kinds or not _CHANGING.isdisjoint(kinds)
    only_changes = only.toggle(
        "Only changes", key="user_sync.only", value=plan.changes > 0, disabled=not possible
    )
    return RowFilter(
        kinds=kinds, domain=found, text=words, only_applicable=possible and only_changes
    )


def _paging() -> tuple[int, int]:
    size = st.session_state.get("user_sync.size", PAGE_SIZES[0])
    return max(0, (filters.number("page") or 1) - 1), size


def _table(plan: PlanView, shown: tuple[RowView, ...], may_apply: bool, may_map: bool) -> None:
    with st.container(border=True, gap="small"):
        for row in shown:
            if may_apply:
                tick, who, what = st.columns([0.4, 4, 6], vertical_alignment="center")
                with tick:
                    ticks.box(row)
            else:
                who, what = st.columns([4, 6], vertical_alignment="center")
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
    colour = {"update": "blue", "unchanged": "gray"}.get(row.kind, "orange")
    return f"{shown} :{colour}-badge[{LABELS[row.kind]}]"


def _reason(row: RowView) -> str:
    from html import escape as html_escape

    return f'<div style="opacity:.75;font-size:.9em">{html_escape(row.why)}</div>'


def _pager(total: int, page: int, size: int) -> None:
    pages = max(1, -(-total // size))
    if page >= pages:
        st.query_params.pop("page", None)
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Back", key="user_sync.back", disabled=page == 0, on_click=_turn, args=(page,))
        last = page + 1 >= pages
        st.button("Next", key="user_sync.next", disabled=last, on_click=_turn, args=(page + 2,))
        st.selectbox(
            "Rows per page",
            PAGE_SIZES,
            key="user_sync.size",
            format_func="{} rows".format,
            label_visibility="collapsed",
            width=130,
        )
        st.caption(f"Page {page + 1:,} of {pages:,} · {counted(total, 'row')}")


def _turn(page: int) -> None:
    if page <= 1:
        st.query_params.pop("page", None)
    else:
        st.query_params["page"] = str(page)


def _ticks(plan: PlanView, wanted: RowFilter, shown: tuple[RowView, ...]) -> None:
    ticks.buttons(
        plan.id,
        shown,
        lambda: calls.fetch(service.applicable_user_ids, plan_id=plan.id, wanted=wanted),
    )
    st.caption(ticks.count_text(plan.id, shown))


def _download(plan: PlanView) -> None:
    tables.download_text(
        f"user-sync-plan-{plan.id}",
        lambda: calls.fetch(service.plan_csv, plan_id=plan.id),
        key="user_sync.plan_csv",
    )
