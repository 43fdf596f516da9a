"""How an environment plans and applies, and the differences people ignored."""

from dataclasses import replace
from typing import Any

import streamlit as st

from backend.core.access import Actor, Permission
from backend.user_sync import service
from backend.user_sync.fields import ATTRIBUTES, chosen
from backend.user_sync.schemas import DOMAIN_MODES, Settings
from pages.shared import filters, tables, times
from pages.shell import calls, flash, guard
from pages.shell.style import FORM_WIDTH

_MODES = {
    "replace": "replace a user's own domains",
    "add": "are added to a user's own domains",
    "only_when_empty": "are given to users without a domain of their own",
}


def draw(actor: Actor, environment: str) -> None:
    """Settings for admins, read-only for everybody else; then the ignored differences."""
    _settings(actor, environment)
    _ignores(actor, environment)


def _settings(actor: Actor, environment: str) -> None:
    view = calls.read(service.get_settings, environment=environment)
    if view.next_plan_at:
        times.caption("Next planning", view.next_plan_at)
    if view.last_good_count:
        times.caption(
            f"The last good directory answer had {view.last_good_count:,} people,",
            view.last_good_at,
        )
    locked = not guard.allowed(actor, Permission.USER_SYNC_CONFIGURE, "change these settings")
    with st.form("user_sync.settings", border=True, width=FORM_WIDTH):
        wanted = _limits(_schedule(view.settings, locked), locked)
        wanted = _reading(wanted, locked)
        save = st.form_submit_button("Save", type="primary", key="user_sync.save", disabled=locked)
        if save:
            saved = calls.write(service.save_settings, environment=environment, settings=wanted)
            if saved is not None:
                flash.success("Settings saved.")
                st.rerun()


def _schedule(now: Settings, locked: bool) -> Settings:
    """When plans are made without anybody asking."""
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
    return replace(now, plan_cron=cron.strip(), apply_on_schedule=applies)


def _limits(now: Settings, locked: bool) -> Settings:
    """What stops planning and applying; a pair of fields that belong together per line."""

    def number(column: Any, label: str, least: float, most: float, value: float, key: str) -> float:
        return float(
            column.number_input(label, least, most, value, key=key, format="%g", disabled=locked)
        )

    left, right = st.columns(2, vertical_alignment="bottom")
    percent = number(
        left,
        "Type the number to confirm when more users change than (% of those matched)",
        0.0,
        100.0,
        float(now.limit_percent),
        "user_sync.percent",
    )
    since = right.number_input(
        "… and at least this many users are matched",
        0,
        10_000_000,
        now.limit_from,
        key="user_sync.since",
        disabled=locked,
    )
    left, right = st.columns(2, vertical_alignment="bottom")
    share = number(
        left,
        "Stop planning when the directory names fewer people than (% of the last time)",
        0.0,
        100.0,
        now.min_share * 100,
        "user_sync.share",
    )
    hours = number(
        right, "Hours until a plan expires", 0.1, 720.0, float(now.expires_hours), "user_sync.hours"
    )
    return replace(
        now,
        limit_percent=percent,
        limit_from=int(since),
        min_share=share / 100,
        expires_hours=hours,
    )


def _reading(now: Settings, locked: bool) -> Settings:
    """What is kept in step, what domains mean, and how patiently both sides are asked."""
    kept = st.multiselect(
        "Kept in step with the directory",
        list(ATTRIBUTES),
        chosen(now.attributes),
        format_func=_label,
        key="user_sync.attributes",
        help="Another attribute needs its own name in the directory's answer, or in the mapping.",
        disabled=locked,
    )
    mode = st.selectbox(
        "The directory's domains",
        DOMAIN_MODES,
        DOMAIN_MODES.index(now.domain_mode),
        format_func=_MODES.__getitem__,
        key="user_sync.mode",
        disabled=locked,
    )
    size, wait, other = st.columns(3, vertical_alignment="bottom")
    return replace(
        now,
        attributes=",".join(kept),
        domain_mode=mode,
        page_size=int(
            size.number_input(
                "OpenMetadata users per page",
                25,
                1_000_000,
                now.page_size,
                key="user_sync.page_size",
                help="Halved while a page takes longer than OpenMetadata may take.",
                disabled=locked,
            )
        ),
        timeout=_seconds(wait, "OpenMetadata may take (seconds)", now.timeout, 600.0, locked),
        directory_timeout=_seconds(
            other,
            "The directory may take (seconds)",
            now.directory_timeout,
            3_600.0,
            locked,
        ),
    )


def _label(attribute: str) -> str:
    return ATTRIBUTES[attribute].label if attribute in ATTRIBUTES else attribute


def _seconds(column: Any, label: str, value: float, most: float, locked: bool) -> float:
    return float(column.number_input(label, 1.0, most, float(value), format="%g", disabled=locked))


def _ignores(actor: Actor, environment: str) -> None:
    st.header("Ignored differences", anchor=False)
    page = calls.read(
        service.list_ignores, environment=environment, before=filters.number("ignored_before")
    )
    kept = page.items

    def pages() -> None:
        filters.pages(page.next_cursor, parameter="ignored_before", key="user_sync.ignored")

    if not kept:
        st.caption("None. A difference can be ignored from a plan.")
        pages()
        return
    tables.show(
        kept,
        lambda item: {
            "User": item.email,
            "Field": _label(item.field),
            "Difference": item.difference[:300],
            "Why": item.reason,
            "By": item.author,
            "Created": item.created_at,
        },
        key="user_sync.ignored_list",
        alt="Differences that are left alone",
        foot=pages,
    )
    if not actor.may(Permission.USER_SYNC_PLAN):
        return
    which = st.selectbox(
        "Compare again",
        kept,
        format_func=lambda item: f"{item.email} · {_label(item.field)}",
        key="user_sync.forget",
    )
    pressed = st.button("Compare it again", key="user_sync.forget_do") and which is not None
    if pressed and calls.done(service.forget_ignore, ignore_id=which.id):
        flash.success("It is compared again from the next plan on.")
        st.rerun()
