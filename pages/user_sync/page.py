"""Plan, review, apply and revert user changes between the directory and OpenMetadata."""

import streamlit as st

from backend.connections import environments
from backend.core.access import Actor, Permission
from backend.user_sync import service
from backend.user_sync.schemas import PlanView
from pages.shared import filters, job_progress, primary, waiting
from pages.shell import calls, flash, guard, head
from pages.user_sync import directory_view, history_view, plan_view, run_view, settings_view

VIEWS = {
    "plan": "Plan",
    "history": "History",
    "sides": "Directory and domains",
    "settings": "Settings",
}
_OF_A_PLAN = ("plan", "page", "kind", "domain", "text", "run", "after", "outcome")


def ask_environment() -> str:
    """The environment of the address, or the default one."""
    names = [item.name for item in calls.once(environments.list_all)]
    if not names:
        st.info("No environment is configured yet. An admin adds one under Connections.")
        st.stop()
    return filters.environment(names)


def start_plan(environment: str) -> None:
    """Ask for a new plan and go to it; at the click, before anything is drawn."""
    with flash.deferring():
        plan = calls.write(
            service.start_plan,
            environment=environment,
            accept_short=bool(st.session_state.get("user_sync.accept_short")),
        )
    if plan is not None:
        st.session_state["user_sync.accept_short"] = False  # once means once
        for name in _OF_A_PLAN:
            st.query_params.pop(name, None)
        st.query_params["plan"] = str(plan.id)
        job_progress.started(plan.job_id)


def plan_button(environment: str, *, is_first: bool) -> None:
    """Plan anew, and the leave to do so with fewer people. is_first: there is no plan yet."""
    st.checkbox(
        "Allow fewer users this once",
        key="user_sync.accept_short",
        help="A plan stops when the directory names far fewer people than last time, or "
        "far fewer of them are found in OpenMetadata. Tick this when that is right.",
    )
    st.button(
        "Plan now",
        key="user_sync.plan",
        icon=":material/sync:",
        type="primary" if is_first else "secondary",
        shortcut=primary.key() if is_first else None,
        on_click=start_plan,
        args=(environment,),
    )


def newest_plan(environment: str) -> PlanView | None:
    return next(iter(calls.read(service.list_plans, environment=environment, limit=1)), None)


def draw_plan(actor: Actor, environment: str, newest: PlanView | None) -> None:
    """The plan of the address, or the environment's newest."""
    waiting.draw("user_sync", environment)
    may_plan = guard.allowed(actor, Permission.USER_SYNC_PLAN, "plan and apply changes")
    number = filters.number("plan")
    if number is not None:
        plan_view.draw(actor, calls.read(service.get_plan, plan_id=number))
    elif newest is not None:
        plan_view.draw(actor, newest)
    else:
        st.info(
            "No plan was made yet. A plan compares the directory's people with OpenMetadata's "
            "users and lists what differs; nothing is changed until it is applied."
            + (" Press **Plan now** to make one." if may_plan else "")
        )


# gate
actor = guard.require(Permission.USER_SYNC_READ)
head.draw("User sync", "Names and domains of people in OpenMetadata, as the directory has them.")
flash.show()
# ask
with st.container(horizontal=True, vertical_alignment="center"):
    environment = ask_environment()
    view = filters.view(
        VIEWS, "history" if st.query_params.get("run") else "plan", key="user_sync.view"
    )
    st.space("stretch")
    named = filters.number("plan") is not None
    newest = newest_plan(environment) if view == "plan" and not named else None
    if view == "plan" and actor.may(Permission.USER_SYNC_PLAN):
        plan_button(environment, is_first=newest is None and not named)
# load, present, act
if view == "plan":
    with st.container(gap="xsmall"):  # a change that waits must not push the rows down
        draw_plan(actor, environment, newest)
elif view == "history":
    history_view.draw(environment)
    run_view.opened(actor)
elif view == "sides":
    directory_view.draw(actor, environment)
else:
    settings_view.draw(actor, environment)
