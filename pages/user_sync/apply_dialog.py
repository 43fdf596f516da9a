"""What is done with ticked users: apply them, or ignore a difference."""

import streamlit as st

from backend.core.access import Permission
from backend.core.words import counted, named
from backend.user_sync import runs, service
from backend.user_sync.fields import ATTRIBUTES, labels
from backend.user_sync.fields import chosen as chosen_of
from backend.user_sync.rules import MAX_REASON
from backend.user_sync.schemas import PlanView, RowFilter, RowView, Settings
from pages.shared import confirm, primary
from pages.shell import calls, flash, guard
from pages.shell.errors import code, escape
from pages.user_sync import ticks

_DIALOG = "user_sync.apply"


def draw(plan: PlanView, rows: tuple[RowView, ...], wanted: RowFilter) -> None:
    """The bar at the window's lower edge: what is ticked, who loses something, and the buttons."""
    chosen = sorted(ticks.ticked(plan.id))
    lose = calls.read(service.list_losing_domains, plan_id=plan.id, user_ids=chosen)
    with (
        st.bottom,
        st.container(horizontal=True, vertical_alignment="center", key="user_sync.bar"),
    ):
        # The buttons beside them stay where they are when the words become longer.
        st.markdown(f"{ticks.count_text(plan.id, rows)}{_losing(lose)}", width="stretch")
        _ignore(plan, rows)
        ticks.buttons(
            plan.id,
            rows,
            lambda: calls.fetch(service.applicable_user_ids, plan_id=plan.id, wanted=wanted),
        )
        st.button(
            f"Apply {len(chosen):,} ticked",
            key="user_sync.apply_open",
            type="primary",
            icon=":material/play_arrow:",
            disabled=not chosen,
            shortcut=primary.key(),
            help=None if chosen else "Tick the users to change first.",
            on_click=confirm.open_dialog,
            args=(_DIALOG,),
        )
    if confirm.is_open(_DIALOG):
        _ask(plan, chosen, lose)


def _ask(plan: PlanView, chosen: list[str], lose: tuple[str, ...]) -> None:
    view = calls.read(service.get_settings, environment=plan.environment)
    over = view.settings.exceeded_by(len(chosen), plan.matched_count)
    confirm.ask(
        _DIALOG,
        title=f"Change {counted(len(chosen), 'user')} in {escape(plan.environment)}?",
        body=lambda: _words(plan, chosen, lose, over, view.settings),
        action=f"Change {counted(len(chosen), 'user')}",
        typed=str(len(chosen)) if over else None,
        on_confirm=lambda: _apply(plan, chosen),
        rule=(runs.action_of(plan.origin), plan.environment),
    )


def _losing(emails: tuple[str, ...]) -> str:
    """Who loses a direct domain, the first few by name."""
    if not emails:
        return ""
    lose = counted(len(emails), "loses", "lose")
    users = [email.partition("@")[0] for email in emails]
    return f" · :red[**{lose} a domain**]: {escape(named(users, 2))}"


def _words(
    plan: PlanView, chosen: list[str], lose: tuple[str, ...], over: bool, settings: Settings
) -> None:
    """What will happen, in numbers and words."""
    st.markdown(
        f"**{len(chosen):,}** of {counted(plan.matched_count, 'matched user')} will be changed "
        f"in OpenMetadata at {code(plan.host_port)}. Only {labels(chosen_of(settings.attributes))} "
        "are written; roles, teams and everything else stay."
    )
    st.markdown(
        "Each user is read again just before. Whoever was changed by somebody else since the plan "
        "is left alone and listed as a conflict. The run can be cancelled between two users and "
        "reverted afterwards."
    )
    if lose:
        how_many = counted(len(lose), "of them loses", "of them lose")
        # As code: a bare address would become a mailto link.
        st.warning(f"{how_many} a direct domain: {named([*map(code, lose)], 5)}.")
    if over:
        st.warning(f"This is more than the limit of {settings.limit_percent:g} % of the users.")
    st.caption(f"Plan digest `{plan.digest[:12]}`.")


def _apply(plan: PlanView, chosen: list[str]) -> None:
    run = calls.write(service.apply, plan_id=plan.id, user_ids=chosen, confirm=str(len(chosen)))
    if run is None:
        return
    if run.reused:
        flash.info(f"This plan had been applied by {run.actor_name}: this is run {run.id}.")
    st.query_params["view"] = "history"
    st.query_params["run"] = str(run.id)


def _ignore(plan: PlanView, rows: tuple[RowView, ...]) -> None:
    found: dict[tuple[str, str], str] = {
        (str(row.user_id), field): f"{row.email} · {ATTRIBUTES[field].label}"
        for row in rows
        for field in row.changes
    }
    session = guard.signed_in()
    if not found or session is None or not session.actor.may(Permission.USER_SYNC_PLAN):
        return
    with st.popover("Ignore …", icon=":material/do_not_disturb_on:"):
        st.caption("It leaves this plan now and later ones until either side changes.")
        which = st.selectbox(
            "Difference on this page",
            list(found),
            format_func=found.__getitem__,
            key="user_sync.leave",
        )
        reason = st.text_input("Why", key="user_sync.leave_reason", max_chars=MAX_REASON)
        if st.button("Ignore it", key="user_sync.leave_do") and which is not None:
            done = calls.write(
                service.ignore, plan_id=plan.id, user_id=which[0], field=which[1], reason=reason
            )
            if done is not None:
                ticks.replace(plan.id, ticks.ticked(plan.id) - {which[0]})
                flash.passing("The difference is ignored until it changes")
                st.rerun()
