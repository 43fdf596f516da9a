"""Whatever else is pressed while connections are tested: their results are shown."""

import threading

import pytest

from backend.connections import probing
from backend.connections.schemas import ConnectionConfig, TestResult
from pages.shared import beside
from tests.fixtures.pages import OpenPage
from tests.pages import test_connections_page
from tests.pages.test_connections_page import PAGE, texts

prod, probed = test_connections_page.prod, test_connections_page.probed


def test_results_of_all_survive_another_click(
    open_page: OpenPage,
    prod: None,
    probed: list[ConnectionConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers, let_go, ended = probing.run, threading.Event(), threading.Event()

    def slow(config: ConnectionConfig, **more: object) -> TestResult:
        assert let_go.wait(60)
        try:
            return answers(config, deadline=10, **more)  # type: ignore[arg-type]
        finally:
            ended.set()

    monkeypatch.setattr(probing, "run", slow)
    app = open_page(PAGE)
    app.button(key="connections.test_all").click().run()
    assert "Stop" in [button.label for button in app.button]  # at once: nothing waits for it
    assert "connections work" not in texts(app)
    app.radio(key="connections.kind").set_value("datahub").run()
    assert probed == []  # it goes on
    let_go.set()
    assert ended.wait(60)
    app.session_state["connections.results"].answer.result(60)
    app.run()
    assert "**1 of 1 connections work**" in texts(app)


def test_a_test_of_one_can_be_left_and_its_result_is_shown(
    open_page: OpenPage,
    prod: None,
    probed: list[ConnectionConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers, let_go = probing.run, threading.Event()

    def slow(config: ConnectionConfig, **more: object) -> TestResult:
        assert let_go.wait(60)
        return answers(config, deadline=10, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(probing, "run", slow)
    monkeypatch.setattr(beside, "AT_ONCE", 0.0)
    app = open_page(PAGE, kind="postgres")
    app.button(key="connections.test").click().run()
    assert "Stop" in [button.label for button in app.button]
    assert probed == []
    let_go.set()
    app.session_state["connections.one"].answer.result(60)
    app.run()
    assert len(probed) == 1
    assert "connections.one" not in app.session_state
    assert "Stop" not in [button.label for button in app.button]
