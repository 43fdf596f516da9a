"""What takes long is asked beside the page's script: shown as under way, stopped, asked once."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend.core import stopping
from pages.shared import beside


def _page() -> None:
    import streamlit as st

    from pages.shared import beside

    again = st.button("Again", key="again")
    asked = beside.ask("thing", st.session_state.about, st.session_state.ask, again=again)
    st.markdown("nothing yet" if asked is None else f"answer {asked.result()}")


class Slow:
    """A question that waits until it is let go or stopped."""

    def __init__(self) -> None:
        self.go, self.began, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        self.began.set()
        try:
            stopping.step("counting rows", 0.5)
            with stopping.cancellable(self.go.set):
                assert self.go.wait(60)
            stopping.step("after")
            return self.asked
        finally:
            self.ended.set()


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.go.set()


@pytest.fixture
def page(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(beside, "AT_ONCE", 0.0)
    app = AppTest.from_function(_page, default_timeout=60)
    app.session_state["about"], app.session_state["ask"] = 1, slow
    app.run()
    assert slow.began.wait(60)
    return app.run()


def _said(app: AppTest) -> list[str]:
    assert not app.exception
    return [each.value for each in app.markdown]


def test_the_page_goes_on_and_has_the_answer_once_it_is_there(page: AppTest, slow: Slow) -> None:
    assert _said(page) == ["nothing yet"]
    (bar,) = page.get("progress")
    assert "counting rows" in bar.proto.text
    slow.go.set()
    assert slow.ended.wait(60)
    assert _until_answered(page) == ["answer 1"]
    assert _said(page.run()) == ["answer 1"]
    assert slow.asked == 1


def test_stop_ends_the_question_and_it_is_not_asked_again_by_itself(
    page: AppTest, slow: Slow
) -> None:
    page.button(key="thing.stop").click().run()
    assert slow.ended.wait(60)
    assert "Stopped before it had an answer" in page.caption[0].value
    assert _said(page.run()) == ["nothing yet"]
    assert slow.asked == 1
    slow.go.set()
    page.button(key="again").click().run()
    assert _until_answered(page) == ["answer 2"]


def test_a_question_of_something_else_stops_the_one_before(page: AppTest, slow: Slow) -> None:
    other = Slow()
    other.go.set()
    page.session_state["about"], page.session_state["ask"] = 2, other
    page.run()
    assert slow.ended.wait(60)
    assert _until_answered(page) == ["answer 1"]


def test_what_nobody_looks_at_is_stopped_by_the_next_who_asks(
    page: AppTest, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "LEFT", -1.0)
    other = Slow()
    other.go.set()
    somebody = AppTest.from_function(_page, default_timeout=60)
    somebody.session_state["about"], somebody.session_state["ask"] = 1, other
    somebody.run()
    assert slow.ended.wait(60)
    assert _until_answered(somebody) == ["answer 1"]


def test_only_so_many_are_asked_at_a_time(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_turns", threading.BoundedSemaphore(1))
    first = beside.Asked(1, slow)
    assert slow.began.wait(60)
    second = beside.Asked(2, other := Slow())
    assert not other.began.is_set()
    second.stop.ask()
    assert isinstance(second.answer.exception(timeout=60), stopping.Stopped)
    assert other.asked == 0
    slow.go.set()
    assert first.answer.result(timeout=60) == 1


def _pressed() -> None:
    import streamlit as st

    from pages.shared import beside

    beside.button("Ask", "thing", 1, st.session_state.ask)
    with beside.pressed("thing", 1) as answer:
        st.markdown(f"answer {answer}")


def test_an_answer_that_comes_while_its_progress_is_drawn_is_shown_by_the_next_run(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered_meanwhile(_key: str) -> None:
        slow.go.set()
        app.session_state["thing"].answer.result(60)

    monkeypatch.setattr(beside, "AT_ONCE", 0.0)
    monkeypatch.setattr(beside, "_live", answered_meanwhile)
    app = AppTest.from_function(_pressed, default_timeout=60)
    app.session_state["ask"] = slow
    app.run()
    app.button(key="thing.ask").click().run()
    assert _said(app) == ["answer None"]
    assert _said(app.run()) == ["answer 1"]
    assert _said(app.run()) == ["answer None"]


def _follows() -> None:
    import streamlit as st

    from pages.shared import beside

    state = st.session_state
    found = beside.followed("thing", 1, state.moment, state.ask, goes_on=state.goes_on)
    st.markdown(f"answer {found}")


def test_what_goes_on_keeps_its_former_answer_until_the_new_one_is_there(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "AT_ONCE", 60.0)
    slow.go.set()
    app = AppTest.from_function(_follows, default_timeout=60)
    app.session_state["ask"], app.session_state["goes_on"] = slow, True
    app.session_state["moment"] = 1
    assert _said(app.run()) == ["answer 1"]
    assert _said(app.run()) == ["answer 1"]
    slow.go.clear()
    app.session_state["moment"] = 2
    assert _said(app.run()) == ["answer 1"]
    assert not app.get("progress")
    app.session_state["moment"] = 3  # the one under way is not given up for it
    assert _said(app.run()) == ["answer 1"]
    slow.go.set()
    app.session_state["thing"].answer.result(60)
    slow.go.clear()
    assert _said(app.run()) == ["answer 2"]  # and the third is under way
    slow.go.set()
    app.session_state["goes_on"] = False
    assert _said(app.run()) == ["answer 3"]


def _until_answered(page: AppTest) -> list[str]:
    asked: Any = page.session_state["thing"]
    asked.answer.exception(timeout=60)
    return _said(page.run())


def _told_at_once() -> None:
    import streamlit as st

    from pages.shared import beside

    order, question = st.session_state.order, st.session_state.ask
    st.button(
        "Go",
        key="go",
        on_click=beside.begin,
        args=("thing", 1, question),
        kwargs={"told_at_once": True},
    )
    order.append("drawn")
    if "thing" in st.session_state:
        beside.ask("thing", 1, question)


def test_what_is_told_at_once_starts_behind_the_page_and_is_not_waited_for() -> None:
    order: list[str] = []
    go = threading.Event()

    def question() -> int:
        order.append("asked")
        assert go.wait(60)
        return 7

    app = AppTest.from_function(_told_at_once, default_timeout=60)
    app.session_state["order"], app.session_state["ask"] = order, question
    app.run()
    order.clear()
    app.button(key="go").click().run()  # returns although nobody has let it go
    assert "Stop" in [button.label for button in app.button]
    go.set()
    assert app.session_state["thing"].answer.result(60) == 7
    assert order == ["drawn", "asked"]
