"""The command palette: Ctrl+K, a few letters, Enter on what they find."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import streamlit as st

from auth import inline
from backend.core.access import Actor, Permission
from backend.search import service
from backend.search.schemas import Hit
from pages.shared import confirm, names, primary
from pages.shell import calls
from pages.shell.errors import escape
from pages.shell.registry import PAGES, find

NAME = "palette"
_TYPED = "palette.typed"
_ICONS = {
    "dataset": ":material/table:",
    "user": ":material/person:",
    "host": ":material/dns:",
    "connection": ":material/lan:",
    "run": ":material/pending_actions:",
    "change": ":material/rule:",
    "account": ":material/manage_accounts:",
}


@dataclass(frozen=True)
class Place:
    """A page, or a part of one. words: what people call it who do not find its title."""

    title: str
    file: str
    permission: Permission
    icon: str
    query: dict[str, str] = field(default_factory=dict)
    words: str = ""


def _part(title: str, file: str, view: str, words: str = "") -> Place:
    page = find(file)
    return Place(title, file, page.permission, page.icon, {"view": view}, words)


PLACES = (
    *(Place(page.title, page.file, page.permission, page.icon) for page in PAGES),
    _part("User sync: history", "user_sync/page.py", "history", "runs revert"),
    _part("User sync: settings", "user_sync/page.py", "settings", "schedule limits domains"),
    _part("Mounts: history", "mounts/page.py", "history"),
    _part("Mounts: orphans", "mounts/page.py", "orphans", "unmount clean up"),
    _part("Tokenization: runs", "tokenization/page.py", "runs"),
    _part("Ingestion: runs", "ingestion/page.py", "runs"),
    _part("Ingestion: mapping", "ingestion/page.py", "mapping", "rules lambda step functions"),
    _part("Changes: policy", "changes/page.py", "policy", "settings approvals four eyes"),
    _part("Notifications: channels", "notifications/page.py", "channels", "settings slack webhook"),
    _part("Accounts: live sessions", "accounts/page.py", "sessions", "sign out"),
    _part("Accounts: API tokens", "accounts/page.py", "tokens", "programs keys"),
)


def button() -> None:
    """The way in, for those who do not know the key."""
    st.button(
        "Search",
        key="palette.open",
        type="tertiary",
        icon=":material/search:",
        shortcut="Ctrl+K",
        on_click=_open,
    )


def _open() -> None:
    st.session_state[_TYPED] = ""
    confirm.open_dialog(NAME)


def draw(actor: Actor) -> None:
    """The palette, while it is open."""
    if confirm.is_open(NAME):
        _dialog(actor)


@st.dialog("Go to", width="medium", on_dismiss=confirm.close)
def _dialog(actor: Actor) -> None:
    typed = st.text_input(
        "Search",
        key=_TYPED,
        live=True,
        placeholder="A page, dataset, person, host or run number",
        label_visibility="collapsed",
        autocomplete="off",
    )
    inline.focus("field", NAME)
    places = sorted(_places(actor, typed), key=lambda place: not _begins(place.title, typed))
    hits = calls.read(service.find, text=typed).items
    with st.container(gap="xsmall"):
        key = primary.KEY if typed.strip() else None
        for place in places:
            _entry(place.title, place.icon, place.file, place.query, key)
            key = None  # the first one's
        for hit in hits:
            page = next(page for page in PAGES if page.url_path == hit.page)
            _entry(_words(hit), _ICONS[hit.kind], page.file, hit.query, key)
            key = None
    if not places and not hits:
        st.info("Nothing that you may see has that name.")


def _places(actor: Actor, typed: str) -> Iterator[Place]:
    """Pages alone while nothing is typed; then what holds each of the words."""
    parts = typed.casefold().split()
    for place in PLACES:
        known = f"{place.title} {place.words}".casefold()
        wanted = all(part in known for part in parts) if parts else not place.query
        if wanted and actor.may(place.permission):
            yield place


def _begins(title: str, typed: str) -> bool:
    """What begins with the letters comes before what only holds them."""
    return title.casefold().startswith(typed.strip().casefold())


def _words(hit: Hit) -> str:
    title = names.urn_name(hit.title) if hit.kind == "dataset" else hit.title
    return f"{escape(title)} :gray[{escape(hit.detail)}]" if hit.detail else escape(title)


def _entry(label: str, icon: str, file: str, query: dict[str, str], key: str | None) -> None:
    if st.button(
        label,
        key=f"palette.{file}.{query}",
        icon=icon,
        type="tertiary",
        width="content",
        shortcut=key,
    ):
        confirm.close()
        st.switch_page(find(file).path, query_params=query)
