"""The page's first list: the datasets that can be run, each with its last outcome and a button."""

from typing import Any

import streamlit as st

from backend.core.access import Actor, Permission
from backend.ingestion import datasets
from backend.ingestion.datasets import DatasetPage, DatasetView
from backend.ingestion.schemas import Request
from pages.ingestion import run_view
from pages.shared import filters, tables
from pages.shell import calls

PAGE = 50
_TABLE = "ingestion.datasets"
_BUTTON = "ingestion.datasets.run"
_STAR = "ingestion.datasets.star"
_ASKED = "ingestion.datasets.asked"
_LABELS = {"all": "All", "failed": "Failed", "running": "Running", "never": "Never run"}


def draw(actor: Actor, environment: str) -> None:
    """Filters in one line, then the list; its "Run" opens the review."""
    left, right = st.columns([3, 2], vertical_alignment="center")
    with right:
        text = filters.text(
            "Search",
            "q",
            key="ingestion.datasets.q",
            placeholder="dataset, target",
            label_visibility="collapsed",
        )
    found = calls.read(
        datasets.list_datasets,
        environment=environment or None,
        text=text,
        only=filters.one_of("only", _LABELS, "all"),
        limit=PAGE,
        cursor=_cursor(),
    )
    # mypy: the values of a TypedDict are objects to it
    counts: dict[str, int] = {**found.counts}  # type: ignore[dict-item]
    with left:
        filters.pills(
            "Show",
            "only",
            {name: f"{label} {counts[name]:,}" for name, label in _LABELS.items()},
            "all",
            key="ingestion.datasets.only",
            help="By the status of the last run",
        )
    _list(actor, found, environment)


def asked(environment: str) -> Request | None:
    """The dataset whose button was pressed just now."""
    urn = st.session_state.pop(_ASKED, None)
    return Request(urn, environment=environment or None) if urn else None


def _list(actor: Actor, found: DatasetPage, environment: str) -> None:
    if found.note:
        st.caption(found.note)
    if not found.items:
        st.info(
            "No dataset fits. A dataset is listed when an exact rule names its target or once it "
            "was run; others are found by DataHub's search under “By URN”."
            if found.counts["all"] == 0
            else "No dataset fits these filters."
        )
        return
    config: dict[str, Any] = {
        "14 days": st.column_config.BarChartColumn("14 days", y_min=0, width=130),
        "Took": st.column_config.LineChartColumn("Took", y_min=0, width=110),
    }
    may = actor.may(Permission.INGESTION_RUN)
    if may:
        config["Do"] = st.column_config.ButtonColumn("Do", key=_BUTTON, on_click=_pressed)
    config["Favourite"] = st.column_config.ButtonColumn(
        "★", key=_STAR, on_click=_starred, args=(environment,), help="First in your own list"
    )
    st.session_state[f"{_TABLE}.urns"] = [item.urn for item in found.items]
    st.session_state[f"{_TABLE}.stars"] = [item.favourite for item in found.items]
    tables.show(
        found.items,
        lambda item: (
            {"Favourite": "★" if item.favourite else "☆"}
            | _row(item)
            | ({"Do": _verb(item)} if may else {})
        ),
        title="Dataset",
        key=_TABLE,
        alt=f"Datasets of {environment or 'the mapping'}, favourites and the latest runs first",
        states=("Last",),
        optional=("Target",),
        config=config,
    )
    _pages(found)


def _row(item: DatasetView) -> dict[str, Any]:
    return {
        "Dataset": item.name,
        "Target": _target(item),
        "Last": item.last_status,
        "Started": item.last_at,
        "14 days": list(item.daily),
        "Took": list(item.seconds),
    }


def _target(item: DatasetView) -> str:
    if item.target is None:
        return ""
    if item.target.kind == "lambda":
        return f"λ {item.target.name.rpartition(':function:')[2]}"
    return f"⇶ {item.target.name.rpartition(':')[2]}"


def _verb(item: DatasetView) -> str:
    if item.last_status in ("running", "accepted"):
        return "Open"
    return "Run again" if item.last_status == "failed" else "Run"


def _pressed() -> None:
    """The row's button: a run that goes is opened, any other dataset is reviewed."""
    place = st.session_state[_BUTTON]["row"]
    urns = st.session_state.get(f"{_TABLE}.urns", ())
    if place < len(urns):
        run_view.choose(urns[place])
        st.session_state[_ASKED] = urns[place]


def _starred(environment: str) -> None:
    place = st.session_state[_STAR]["row"]
    urns = st.session_state.get(f"{_TABLE}.urns", ())
    if place < len(urns):
        calls.write(
            datasets.set_favourite,
            dataset_urn=urns[place],
            on=not st.session_state[f"{_TABLE}.stars"][place],
            environment=environment or None,
        )


def _pages(found: DatasetPage) -> None:
    before, after = st.columns(2)
    if _cursor():
        before.button(
            "Earlier", key="ingestion.datasets.before", on_click=_turn, args=(_cursor() - PAGE,)
        )
    if found.next_cursor is not None:
        after.button(
            "More", key="ingestion.datasets.more", on_click=_turn, args=(found.next_cursor,)
        )


def _turn(cursor: int) -> None:
    st.query_params["from"] = str(max(0, cursor))


def _cursor() -> int:
    return filters.number("from") or 0
