"""What each action needs in an environment; admins change it."""

import streamlit as st

from backend.changes import policy
from backend.changes.schemas import PolicyView
from backend.connections import environments
from backend.core.access import Actor, Permission
from pages.shared import filters, reason, tables
from pages.shell import calls, flash, guard

_MODES = {"direct": "Direct", "confirm": "Confirm", "approve": "Approve"}


def draw(actor: Actor) -> None:
    """The table of an environment's rules, and the form of one."""
    names = [view.name for view in calls.read(environments.list_all)]
    if not names:
        st.info("There is no environment yet, so there is no policy to set.")
        return
    environment = filters.environment(names)
    found = calls.read(policy.list_policies, environment=environment)
    tables.show(
        found,
        lambda view: {
            "Action": view.label,
            "Needs": view.words,
            "Changed by": view.updated_by,
        },
        key="changes.policies",
        alt="What each action needs",
        optional=("Changed by",),
        height="content",
    )
    if guard.allowed(actor, Permission.CHANGES_CONFIGURE, "change a policy"):
        _form({view.label: view for view in found}, environment)


def _form(known: dict[str, PolicyView], environment: str) -> None:
    chosen = known[st.selectbox("Action", list(known), key="changes.action")]
    rule, mark = chosen.rule, f"changes.{environment}.{chosen.action}"
    mode = st.segmented_control(
        "Mode",
        list(_MODES),
        format_func=_MODES.__getitem__,
        default=rule.mode,
        required=True,
        key=f"{mark}.mode",
    )
    values: dict[str, object] = {"mode": mode}
    if mode == "approve":
        many, size, when, who = st.columns(4)
        values["approvers"] = int(
            many.number_input("Approvals", 1, 2, rule.approvers, key=f"{mark}.approvers")
        )
        values["above"] = size.number_input(
            f"Only above so many {chosen.unit or 'things'}",
            min_value=0,
            value=rule.above,
            key=f"{mark}.above",
            placeholder="always",
        )
        values["window"] = when.text_input(
            "Only then (UTC)", rule.window, key=f"{mark}.window", placeholder="mon-fri 18:00-08:00"
        )
        values["by_token"] = who.checkbox(
            "Only for API tokens", rule.by_token, key=f"{mark}.by_token"
        )
        st.caption("With several limits, one of them is enough. A weaker rule needs approval.")
    reason.field(mark)
    if st.button("Save", key="changes.save", type="primary"):
        with reason.given(mark):
            _save(environment, chosen, values)


def _save(environment: str, chosen: PolicyView, values: dict[str, object]) -> None:
    saved = calls.write(_set, environment=environment, action=chosen.action, values=values)
    if saved is not None:
        flash.success(f"{saved.label} in {environment}: {saved.words}.")
        st.rerun()


def _set(session: object, actor: Actor, **given: object) -> PolicyView:
    """Check what was typed where a refusal becomes a sentence."""
    rule = policy.checked(given.pop("values"))  # type: ignore[arg-type]  # a form's own values
    return policy.save(session, actor, rule=rule, **given)  # type: ignore[arg-type]  # as above
