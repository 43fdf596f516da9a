"""Which environment and which of its connections: chosen on the page, kept in the address."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from backend.connections import kinds
from backend.connections.schemas import ConnectionView, EnvironmentView, TestResult
from pages.connections import test_results
from pages.shared import status


def environment_of(known: tuple[EnvironmentView, ...]) -> EnvironmentView:
    """The environment of the address, else the first one (the default)."""
    by_name = {item.name: item for item in known}

    def draw(label: str, options: list[str], key: str) -> str:
        return str(st.selectbox(label, options, format_func=lambda n: _named(by_name[n]), key=key))

    return by_name[_linked(draw, "Environment", "environment", list(by_name))]


def wanted(known: tuple[EnvironmentView, ...]) -> EnvironmentView:
    """What `environment_of` will return, for what stands above it."""
    by_name = {item.name: item for item in known}
    return by_name[_standing("environment", list(by_name))]


def _named(environment: EnvironmentView) -> str:
    marks = (
        ("default", environment.is_default),
        ("production", environment.is_production),
        ("sandbox", environment.is_sandbox),
    )
    words = ", ".join(word for word, holds in marks if holds)
    return f"{environment.name} ({words})" if words else environment.name


def kind_of(views: dict[str, ConnectionView], latest: dict[str, TestResult]) -> str:
    """The list of the ten kinds with their state; returns the chosen one."""

    def state(kind: str) -> str:
        view = views[kind]
        there = view.version > 0 or any(secret.is_set for secret in view.secrets)
        return status.markdown(test_results.word(latest.get(kind), configured=there))

    def draw(title: str, options: list[str], key: str) -> str:
        # The browser names its choice by the label: a label that a test changes would lose the
        # choice of somebody who clicks while the page is being redrawn.
        return str(
            st.radio(
                title,
                options,
                format_func=lambda kind: kinds.KINDS[kind].label,
                captions=[state(kind) for kind in options],
                key=key,
            )
        )

    return _linked(draw, "Connection", "kind", list(kinds.KINDS))


def _linked(draw: Callable[..., Any], label: str, parameter: str, options: list[str]) -> str:
    """One of `options`, kept in the address; a link wins over what the widget remembers."""
    key, seen = f"connections.{parameter}", f"connections.{parameter}.url"
    # Said in every run: the browser remembers the choice by its label, and goes on showing an
    # environment that was just deleted. What it names in vain is the address's, else the first.
    st.session_state[key] = _standing(parameter, options)
    chosen = str(draw(label, options, key=key))
    st.query_params[parameter] = st.session_state[seen] = chosen
    return chosen


def _standing(parameter: str, options: list[str]) -> str:
    """What the address or the widget says now, else the first."""
    key, seen = f"connections.{parameter}", f"connections.{parameter}.url"
    linked, known = st.query_params.get(parameter, ""), st.session_state.get(key)
    # Streamlit forgets a widget of a page that was left; Back must find what the address says.
    if linked in options and (st.session_state.get(seen) != linked or key not in st.session_state):
        return linked
    return next(value for value in (known, linked, options[0]) if value in options)
