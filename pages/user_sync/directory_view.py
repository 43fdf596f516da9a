"""Both sides before a plan: the directory tried, OpenMetadata's preflight, departments mapped."""

import streamlit as st

from backend.core.access import Actor, Permission
from backend.core.words import counted
from backend.user_sync import service
from backend.user_sync.schemas import (
    DomainMapView,
    PreflightView,
    Preset,
    TryView,
)
from pages.shared import beside, filters, tables, times
from pages.shell import calls, flash, guard
from pages.shell.errors import escape

_TRIED, _SUGGESTED, _PREFLIGHT = "user_sync.try", "user_sync.presets", "user_sync.preflight"


def draw(actor: Actor, environment: str) -> None:
    """For people who may plan; everybody else sees the mapping."""
    if guard.allowed(actor, Permission.USER_SYNC_PLAN, "ask the directory and OpenMetadata"):
        _try(environment)
        _preflight(environment)
        _upload(environment)
    _domain_map(actor, environment)


def _try(environment: str) -> None:
    st.header("Directory", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        beside.button(
            "Try it",
            _TRIED,
            environment,
            calls.bound(service.try_it, environment=environment),
            icon=":material/play_arrow:",
        )
        beside.button(
            "Suggest queries",
            _SUGGESTED,
            environment,
            calls.bound(service.suggest, environment=environment),
            type="tertiary",
        )
        st.caption("The first ten people as a plan would read them; nothing is kept.")
    with beside.pressed(_TRIED, environment) as found:
        if found is not None:
            _people(found)
    with beside.pressed(_SUGGESTED, environment) as presets:
        if presets is not None:
            _presets(presets)


def _people(found: TryView) -> None:
    refused = sum(bool(person.refused) for person in found.people)
    said = counted(len(found.people), "person", "people")
    if refused:
        st.warning(f"{said} read, {refused} of them cannot be used.")
    else:
        st.success(f"{said} read, all of them can be used.")
    tables.show(
        found.people,
        lambda person: {
            "E-mail": person.email,
            "Name": person.display_name,
            "Domains": ", ".join(person.domains),
            "Refused because": person.refused,
        },
        key="user_sync.people",
        alt="The first people of the directory",
        optional=("Refused because",),
    )


def _presets(presets: tuple[Preset, ...]) -> None:
    if not presets:
        st.info("Nothing in the schema lists people with an e-mail; write the query by hand.")
    for preset in presets:
        with st.expander(escape(preset.label)):
            st.caption("Query, mapping and paging for the directory connection:")
            st.code(preset.query, language="graphql", wrap_lines=True)
            st.code(preset.mapping, language=None, wrap_lines=True)
            st.code(preset.paging, language=None, wrap_lines=True)


def _preflight(environment: str) -> None:
    st.header("OpenMetadata", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        beside.button(
            "Preflight",
            _PREFLIGHT,
            environment,
            calls.bound(service.preflight, environment=environment),
            icon=":material/fact_check:",
        )
        st.caption("What the token may see and change, without changing anything.")
    with beside.pressed(_PREFLIGHT, environment) as found:
        if found is not None:
            _told(found)


def _told(found: PreflightView) -> None:
    if not found.sees_emails:
        st.error(escape(found.warnings[0]))
    rows = [item for item in found.told() if item[0] != "Warning"]
    tables.show(
        rows,
        lambda each: {"Question": each[0], "Answer": each[1]},
        key="user_sync.told",
        alt="What OpenMetadata lets the token see and change",
        height="content",
    )
    for warning in found.warnings if found.sees_emails else ():
        st.warning(escape(warning))


def _upload(environment: str) -> None:
    known = calls.read(service.uploaded, environment=environment)
    with st.expander("A CSV or JSON file as the directory", expanded=known is not None):
        if known is not None:
            people = counted(known.people, "person", "people")
            times.caption(
                f"{escape(known.name)}: {people}, by {escape(known.uploaded_by)}", known.uploaded_at
            )
        file = st.file_uploader(
            "File of people (UTF-8, at most 8 MiB)", type=["csv", "json"], key="user_sync.file"
        )
        st.caption("For environments whose directory connection has the kind *upload*.")
        if st.button("Keep it", key="user_sync.keep", disabled=file is None) and file is not None:
            kept = calls.write(
                service.upload, environment=environment, name=file.name, content=file.getvalue()
            )
            if kept is not None:
                flash.success(f"{counted(kept.people, 'person', 'people')} kept.")
                st.rerun()


def _domain_map(actor: Actor, environment: str) -> None:
    st.header("Departments mapped to domains", anchor=False)
    history = st.toggle("Include ended ones", key="user_sync.map_history")
    page = calls.read(
        service.list_domain_map,
        environment=environment,
        history=history,
        before=filters.number("mapped_before"),
    )
    found = page.items

    def pages() -> None:
        filters.pages(page.next_cursor, parameter="mapped_before", key="user_sync.mapped")

    if found:
        tables.show(
            found,
            lambda item: {
                "The directory says": item.said,
                "Domain": item.domain,
                "By": item.created_by,
                "Since": item.created_at,
                "Ended": item.ended_at,
            },
            key="user_sync.map_list",
            alt="What the directory says and the domains that it means",
            optional=("Ended",),
            foot=pages,
        )
    else:
        st.caption("None. Map what the directory says to a domain below.")
        pages()
    if actor.may(Permission.USER_SYNC_PLAN):
        _change_map(environment, [item for item in found if item.ended_at is None])


def _change_map(environment: str, current: list[DomainMapView]) -> None:
    with st.form("user_sync.map", border=False):
        said, domain, add = st.columns([4, 4, 2], vertical_alignment="bottom")
        what = said.text_input("The directory says", key="user_sync.map_said")
        meant = domain.text_input(
            "Domain (full name)", key="user_sync.map_domain", placeholder="Finance.Payments"
        )
        pressed = add.form_submit_button("Map", key="user_sync.map_do", width="stretch")
    if pressed:
        done = calls.write(service.map_domain, environment=environment, said=what, domain=meant)
        if done is not None:
            flash.success("Mapped; it counts from the next plan on.")
            st.rerun()
    if not current:
        return
    which = st.selectbox(
        "End a mapping",
        current,
        format_func=lambda item: f"{item.said} → {item.domain}",
        key="user_sync.map_end",
    )
    pressed = st.button("End it", key="user_sync.map_end_do") and which is not None
    if pressed and calls.done(service.unmap_domain, map_id=which.id):
        st.rerun()
