"""Filters that live in the URL, so that a view can be linked, reloaded and gone back to."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import streamlit as st

from pages.shell import where
from pages.shell.errors import escape

Visibility = Literal["visible", "collapsed"]
Width = int | Literal["stretch"]


@contextmanager
def folded(name: str, *, horizontal: bool = False) -> Iterator[None]:
    """Where a page draws its filters. A phone shows them once *Filters* is switched on; in a wider
    window they are always there and the switch is not (`pages.shell.style`).
    """
    with st.container(
        key=f"fold.{name}", horizontal=horizontal, vertical_alignment="center", gap="small"
    ):
        st.toggle("Filters", key=f"unfold.{name}")
        yield


def text(
    label: str,
    parameter: str,
    *,
    key: str,
    placeholder: str = "",
    label_visibility: Visibility = "visible",
    width: Width = "stretch",
) -> str:
    """A text filter kept in `?parameter=`."""
    value = st.text_input(
        label,
        value=st.query_params.get(parameter, ""),
        key=_prepare(key, st.query_params.get(parameter, "")),
        placeholder=placeholder,
        label_visibility=label_visibility,
        width=width,
        on_change=_store(key, parameter, str),
    )
    return value.strip()


def choice(
    label: str,
    parameter: str,
    options: Sequence[str],
    *,
    key: str,
    empty: str = "All",
    shown: Callable[[str], str] = lambda option: option.replace("_", " "),
    label_visibility: Visibility = "visible",
    width: Width = "stretch",
) -> str:
    """One of `options` or "" (shown as `empty`), kept in `?parameter=`; shown: one in words."""
    wanted = st.query_params.get(parameter, "")
    every = ["", *options]
    value = st.selectbox(
        label,
        every,
        index=every.index(wanted) if wanted in every else 0,
        format_func=lambda option: shown(option) if option else empty,
        key=_prepare(key, wanted if wanted in every else ""),
        label_visibility=label_visibility,
        width=width,
        on_change=_store(key, parameter, str),
    )
    return value or ""


def environment(names: Sequence[str]) -> str:
    """The environment that the strip on top says, also in the address; an address with a name that
    does not exist is told so."""
    asked, wanted = st.query_params.get("environment", ""), where.chosen(names)
    if asked and asked != wanted:
        st.warning(
            f"There is no environment {escape(asked)} any more; this is {escape(wanted)}.",
            icon=":material/warning:",
        )
    where.keep(wanted)
    if not asked and wanted != names[0]:
        st.query_params["environment"] = wanted  # chosen on another page; a link must say so
    return wanted


def choices(
    label: str,
    parameter: str,
    options: Sequence[str],
    *,
    key: str,
    shown: Callable[[str], str] = str,
    empty: str | None = None,
) -> tuple[str, ...]:
    """Any of `options`, kept as repeated `?parameter=`; shown: an option in words."""
    wanted = [value for value in st.query_params.get_all(parameter) if value in options]
    value = st.multiselect(
        label,
        options,
        default=wanted,
        format_func=shown,
        placeholder=empty,
        key=_prepare(key, wanted),
        on_change=_store(key, parameter, list),
    )
    return tuple(value)


def pills(
    label: str, parameter: str, options: Mapping[str, str], first: str, *, key: str, help: str
) -> str:
    """One of a few choices that are all seen, kept in `?parameter=`; `first` when it names none.

    options: name in the address → what is shown, with its count.
    """
    wanted = one_of(parameter, options, first)
    value = st.pills(
        label,
        list(options),
        default=wanted,
        required=True,
        format_func=options.__getitem__,
        key=_prepare(key, wanted),
        label_visibility="collapsed",
        help=help,
        wrap=True,
        on_change=_store(key, parameter, str),
    )
    return str(value or wanted)


def one_of(parameter: str, options: Collection[str], first: str) -> str:
    """Which of a few words `?parameter=` names; `first` when it names none of them."""
    wanted = st.query_params.get(parameter, "")
    return wanted if wanted in options else first


def number(parameter: str) -> int | None:
    """The row number in `?parameter=`; None when there is none, or nonsense."""
    value = st.query_params.get(parameter, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None


def put(parameter: str, value: object) -> None:
    """`?parameter=value`, or none of it without a value; what a table's open row is kept in."""
    if value:
        st.query_params[parameter] = str(value)
    else:
        st.query_params.pop(parameter, None)


def forget(parameter: str) -> None:
    """Take `?parameter=` out of the address; for a button's on_click."""
    st.query_params.pop(parameter, None)


def pages(
    next_cursor: int | str | None, *, parameter: str, key: str, following: str = "Next page"
) -> None:
    """Buttons to the first and the next page of a list whose place is kept in `?parameter=`, so
    that the browser's Back works; nothing where there is only one.

    following: the next page in other words.
    """
    turned = bool(st.query_params.get(parameter))
    if not turned and next_cursor is None:
        return
    with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        if turned:
            st.button(
                "First page",
                key=f"{key}.first",
                icon=":material/first_page:",
                on_click=forget,
                args=(parameter,),
            )
        if next_cursor is not None:
            st.button(
                following,
                key=f"{key}.next",
                icon=":material/navigate_next:",
                on_click=lambda: st.query_params.update({parameter: str(next_cursor)}),
            )


def view(
    options: Mapping[str, str],
    first: str,
    *,
    key: str,
    parameter: str = "view",
    label: str = "Part of the page",
    forget: Sequence[str] = (),
) -> str:
    """Which part of the page, kept in `?parameter=`; `first` while the address names none of them.

    options: name in the address → what is shown. The label of `?view=` is not drawn. forget:
    parameters that go with a change of the part.
    """
    seen, turns = f"{key}.url", f"{key}.turns"
    wanted = one_of(parameter, options, first)
    if st.session_state.get(seen, wanted) != wanted:
        # A browser that has not drawn this yet still sends the part before, as if it were pressed
        # now: not to this control, which is another one.
        st.session_state[turns] = st.session_state.get(turns, 0) + 1
    turn = st.session_state.get(turns, 0)
    widget = f"{key}.{turn}" if turn else key
    # Streamlit forgets a widget of a page that was left; Back must find what the address says.
    if st.session_state.get(seen) != wanted or widget not in st.session_state:
        st.session_state[widget] = wanted
    chosen = st.segmented_control(
        label,
        list(options),
        format_func=options.__getitem__,
        key=widget,
        label_visibility="collapsed" if parameter == "view" else "visible",
        required=True,
        wrap=True,
    )
    if chosen and chosen != wanted:
        for name in forget:
            st.query_params.pop(name, None)
    st.query_params[parameter] = st.session_state[seen] = str(chosen or wanted)
    return str(chosen or wanted)


def _prepare(key: str, wanted: object) -> str:
    """A link that changes the URL wins over what the widget remembers."""
    seen = f"{key}.url"
    if st.session_state.get(seen) != wanted:
        st.session_state[seen] = wanted
        if key in st.session_state and st.session_state[key] != wanted:
            st.session_state[key] = wanted
    return key


def _store(key: str, parameter: str, shape: Callable[..., object]) -> Callable[[], None]:
    def store() -> None:
        value = st.session_state[key]
        if value:
            st.query_params[parameter] = value if shape is str else list(value)
        else:
            st.query_params.pop(parameter, None)
        st.session_state[f"{key}.url"] = value

    return store
