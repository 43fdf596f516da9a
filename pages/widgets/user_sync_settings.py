"""How an environment plans and applies, and the differences people left alone."""

import pandas as pd
import streamlit as st

from backend.core.access import Actor, Permission
from backend.user_sync import service
from backend.user_sync.schemas import Settings
from pages.shell import calls, flash
from pages.shell.errors import escape
from pages.widgets import times


def draw(actor: Actor, environment: str) -> None:
    """Settings for admins, read-only for everybody else; then the ignored differences."""
    _settings(actor, environment)
    _ignores(actor, environment)


def _settings(actor: Actor, environment: str) -> None:
    view = calls.read(service.get_settings, environment=environment)
    now, locked = view.settings, not actor.may(Permission.USER_SYNC_CONFIGURE)
    if view.next_plan_at:
        st.caption(f"Next planning {times.relative(view.next_plan_at)}.")
    if view.last_good_count:
        st.caption(
            f"The last good directory answer had {view.last_good_count:,} people, "
            f"{times.relative(view.last_good_at)}."
        )
    with st.form("user_sync.settings", border=True):
        cron = st.text_input(
            "Plan by schedule (cron, UTC; empty: never)",
            now.plan_cron,
            key="user_sync.cron",
            placeholder="0 6 * * 1-5",
            disabled=locked,
        )
        applies = st.checkbox(
            "Also apply what was planned by schedule, up to the limit",
            now.apply_on_schedule,
            key="user_sync.applies",
            disabled=locked,
        )
        one, two = st.columns(2)
        share = one.number_input(
            "Stop when the directory names less than this share of its last good answer (%)",
            0.0,
            100.0,
            now.min_share * 100,
            key="user_sync.share",
            disabled=locked,
        )
        percent = two.number_input(
            "Ask for the number above this share of the users (%)",
            0.0,
            100.0,
            float(now.limit_percent),
            key="user_sync.percent",
            disabled=locked,
        )
        hours = one.number_input(
            "Hours until a plan expires",
            0.1,
            720.0,
            float(now.expires_hours),
            key="user_sync.hours",
            disabled=locked,
        )
        since = two.number_input(
            "… from so many matched users up",
            0,
            10_000_000,
            now.limit_from,
            key="user_sync.since",
            disabled=locked,
        )
        if st.form_submit_button("Save", key="user_sync.save", disabled=locked):
            settings = Settings(
                plan_cron=cron.strip(),
                apply_on_schedule=applies,
                min_share=share / 100,
                limit_percent=percent,
                limit_from=int(since),
                expires_hours=hours,
                concurrency=now.concurrency,
            )
            if calls.write(service.save_settings, environment=environment, settings=settings):
                flash.success("Settings saved.")
                st.rerun()


def _ignores(actor: Actor, environment: str) -> None:
    st.subheader("Differences left alone", anchor=False)
    kept = calls.read(service.list_ignores, environment=environment)
    if not kept:
        st.caption("None. A difference can be left alone from a plan.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "User": [item.email for item in kept],
                "Field": [item.field for item in kept],
                "Difference": [item.difference[:300] for item in kept],
                "Why": [item.reason for item in kept],
                "By": [item.author for item in kept],
                "When": [times.relative(item.created_at) for item in kept],
            }
        ),
        hide_index=True,
        width="stretch",
    )
    if not actor.may(Permission.USER_SYNC_PLAN):
        return
    which = st.selectbox(
        "Compare again",
        kept,
        format_func=lambda item: f"{escape(item.email)} · {item.field}",
        key="user_sync.forget",
    )
    if st.button("Compare it again", key="user_sync.forget_do") and which is not None:
        calls.write(service.forget_ignore, ignore_id=which.id)
        flash.success("It is compared again from the next plan on.")
        st.rerun()
