"""An unknown domain of a row mapped where it is seen: a button there, one choice, done."""

import difflib

import streamlit as st

from backend.user_sync import service
from backend.user_sync.schemas import PlanView, RowView
from backend.user_sync.validation import visible
from pages.shared import beside, confirm
from pages.shell import calls, flash
from pages.shell.errors import escape

_DIALOG = "user_sync.map_row"
_WORD = "user_sync.map_word"
_CHOICE, _CHOICES = "user_sync.map_choice", "user_sync.map_choices"


def buttons(plan: PlanView, row: RowView) -> None:
    """One for each word of this row that no domain has."""
    for word in row.unknown:
        st.button(
            f"Map “{escape(visible(word)[:60])}” …",
            key=f"user_sync.map.{row.position}.{word}",
            icon=":material/conversion_path:",
            on_click=_open,
            args=(plan.environment, word),
        )


def _open(environment: str, word: str) -> None:
    beside.begin(_CHOICES, environment, calls.bound(service.list_domains, environment=environment))
    st.session_state[_WORD] = word
    st.session_state.pop(_CHOICE, None)  # that of another word
    confirm.open_dialog(_DIALOG)


def dialog(plan: PlanView) -> None:
    """The domains of OpenMetadata, the one that looks most like the word chosen already."""
    word = st.session_state.get(_WORD, "")
    if not word:
        return
    confirm.ask(
        _DIALOG,
        title=f"Which domain is “{visible(word)[:60]}”?",
        body=lambda: _choose(plan.environment, word),
        action="Map it",
        danger=False,
        on_confirm=lambda: _map(plan.environment, word),
    )


def _choose(environment: str, word: str) -> None:
    ask = calls.bound(service.list_domains, environment=environment)
    domains = beside.shown(_CHOICES, environment, ask)
    if domains is None:
        return
    names = {name.rsplit(".", 1)[-1].casefold(): name for name in reversed(domains)}
    near = difflib.get_close_matches(word.casefold(), names, 1, 0.8)
    st.selectbox(
        "Domain of OpenMetadata",
        domains,
        domains.index(names[near[0]]) if near else None,
        key=_CHOICE,
        placeholder="Choose one",
    )
    st.caption(
        f"From the next plan on, what the directory calls “{escape(visible(word))}” is this "
        "domain, for everybody. *Directory and domains* lists the mappings and ends them."
    )


def _map(environment: str, word: str) -> bool | None:
    domain = st.session_state.get(_CHOICE)
    if domain is None:
        st.error("Choose a domain.")
        return False
    if calls.write(service.map_domain, environment=environment, said=word, domain=domain) is None:
        return False
    flash.passing(escape(f"“{visible(word)[:60]}” is {domain} from the next plan on"))
    return None
