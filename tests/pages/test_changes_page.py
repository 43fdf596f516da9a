"""The Changes page: what waits, deciding, policies, and the note on the job's own page."""

import threading
from collections.abc import Callable

import pytest

from backend.accounts import service as accounts
from backend.accounts.schemas import SignedIn
from backend.changes import service
from backend.changes.schemas import ChangeView
from backend.connections import service as connections
from backend.core import stopping
from backend.core.errors import Waiting
from pages.shared import tables
from tests.backend.changes.conftest import ONE, PASSWORD, World, world  # noqa: F401 - a fixture
from tests.fixtures.mounts import MountsEnvironment
from tests.fixtures.pages import OpenPage

PAGE = "changes/page.py"


@pytest.fixture
def as_(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:  # noqa: F811 - as above
    """The browser is that of one of the world's people."""

    def become(name: str) -> None:
        signed_in = SignedIn(
            actor=world.in_browser(name),
            session_id=world.browsers[name],
            must_change_password=False,
        )
        monkeypatch.setattr("auth.current.signed_in", lambda: signed_in)

    return become


@pytest.fixture
def number(world: World) -> int:  # noqa: F811 - as above
    world.rule(ONE)
    found = world.ask()
    assert found is not None
    return found


def test_an_approver_decides_from_the_link(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    number: int,
) -> None:
    app = open_page(PAGE, role="viewer", change=str(number))
    as_("bob")
    app.run()
    assert any(f"#{number} · Write a line" in each.value for each in app.header)
    app.button(key="changes.probe").click().run()
    assert "would still do the same" in app.success[0].value
    app.button(key="changes.approve").click().run()
    app.button(key="changes.approve.sure.confirm").click().run()
    assert not app.exception
    assert world.view(number).status == "approved"
    assert f"Change {number} approved" in app.success[0].value


def test_what_goes_on_is_drawn_anew_when_it_has_ended(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    number: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The look of the fragment finds another state than the page has drawn."""
    waiting, told = world.view(number), list[str]()

    def get(*_args: object, **_asked: object) -> ChangeView:
        return waiting.model_copy(update={"status": told.pop() if told else "succeeded"})

    monkeypatch.setattr(service, "get", get)
    app = open_page(PAGE, role="viewer", change=str(number))
    as_("bob")
    told.append("running")
    app.session_state["shell.flash"] = [("success", "What was clicked before is approved.")]
    shown = "\n".join(str(each.value) for each in app.run().markdown)
    assert "succeeded" in shown
    assert "running" not in shown
    # What came of the click is read here and nowhere else: it stays.
    assert app.success[0].value == "What was clicked before is approved."


def test_an_old_sign_in_needs_the_password(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    number: int,
) -> None:
    world.let_pass("bob", minutes=20)
    app = open_page(PAGE, role="viewer", change=str(number))
    as_("bob")
    app.run()
    app.button(key="changes.approve").click().run()
    app.text_input(key="changes.approve.sure.comment").set_value("as said on the phone")
    app.button(key="changes.approve.sure.confirm").click().run()
    assert world.view(number).status == "waiting"
    assert any("proof of who you are from the last 15 minutes" in m.value for m in app.markdown)
    app.text_input(key="step_up.typed").set_value("wrong")
    app.button(key="step_up.confirm").click().run()
    assert "The password is wrong" in app.warning[0].value
    app.text_input(key="step_up.typed").set_value(PASSWORD)
    app.button(key="step_up.confirm").click().run()
    app.button(key="changes.approve.sure.confirm").click().run()
    assert world.view(number).status == "approved"
    assert "as said on the phone" in [step.text for step in world.view(number).steps], "kept"


def test_who_asked_may_withdraw_and_not_approve(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    number: int,
) -> None:
    app = open_page(PAGE, role="viewer", view="mine", change=str(number))
    as_("ann")
    app.run()
    assert any("asked for by you" in each.value for each in app.caption)
    assert not [each for each in app.button if each.key == "changes.approve"]
    app.button(key="changes.withdraw").click().run()
    app.button(key="changes.withdraw.sure.confirm").click().run()
    assert world.view(number).status == "withdrawn"


def test_a_rejection_without_a_reason_is_told_so(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    number: int,
) -> None:
    app = open_page(PAGE, role="viewer", change=str(number))
    as_("bob")
    app.run()
    app.button(key="changes.reject").click().run()
    app.button(key="changes.reject.sure.confirm").click().run()
    assert "Say why it is rejected" in app.warning[0].value
    assert world.view(number).status == "waiting"


def test_an_admin_sets_a_rule_and_a_weaker_one_waits(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    number: int,
) -> None:
    app = open_page(PAGE, role="viewer", view="policy")
    as_("cat")
    app.run()
    app.selectbox(key="changes.action").set_value("Write a line").run()
    app.button_group(key="changes.prod.demo.write.mode").set_value("confirm").run()
    app.button(key="changes.save").click().run()
    assert not app.exception
    assert "needs somebody else's approval" in app.info[0].value


@pytest.mark.parametrize("action", ["connections.change", "accounts.role"])
def test_what_waits_is_said_on_the_page_of_what_it_is_about(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    action: str,
) -> None:
    world.rule(ONE, action)
    with pytest.raises(Waiting) as caught, world.database.write() as session:
        cat = world.in_browser("cat")
        if action == "accounts.role":
            ann = world.people["ann"].id
            accounts.set_role(session, cat, account_id=ann, role="viewer", version=1)
        else:
            server = {"server": "http://localhost:9"}
            connections.save(session, cat, environment="prod", kind="datahub", settings=server)
    number = caught.value.document["change_id"]
    as_("cat")
    page = "accounts/page.py" if action == "accounts.role" else "connections/page.py"
    app = open_page(page, environment="prod")
    assert not app.exception
    assert [f"[change {number}]" in each.value for each in app.markdown].count(True) == 1


def test_several_are_approved_together(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    number: int,
) -> None:
    second = world.ask(text="second")
    app = open_page(PAGE, role="viewer")
    as_("bob")
    app.run()
    app.multiselect(key="changes.release.chosen").set_value([second, number]).run()
    app.button(key="changes.release.approve").click().run()
    app.button(key="changes.release.sure.confirm").click().run()
    assert not app.exception
    assert {world.view(each).status for each in (number, second or 0)} == {"approved"}
    assert world.view(number).after == second
    assert "2 changes approved together" in app.success[0].value


def test_a_long_look_is_stopped_and_the_decision_is_not_held_up(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    number: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, stopped = threading.Event(), threading.Event()

    def long(*_: object, **__: object) -> None:
        began.set()
        with stopping.cancellable(stopped.set):
            assert stopped.wait(60)

    app = open_page(PAGE, role="viewer")
    monkeypatch.setattr("pages.shared.beside.AT_ONCE", 0.0)
    monkeypatch.setattr("backend.changes.service.would_do", long)
    app.query_params["change"] = str(number)
    as_("bob")
    app.run()
    assert began.wait(60)
    assert [each.key for each in app.button if each.key == "changes.approve"]
    app.button(key="changes.now.stop").click().run()
    assert stopped.wait(60)
    assert any("Stopped before it had an answer" in each.value for each in app.caption)
    assert not app.success


def test_a_secret_saved_in_a_dialog_of_the_mounts_page_asks_who_acts(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    lab: MountsEnvironment,
) -> None:
    world.let_pass("dan", minutes=20)
    app = open_page("mounts/page.py", role="viewer", environment=lab.name)
    as_("dan")
    app.run()
    app.menu_button(key="mounts.more").click("New template …").run()
    app.text_input(key="mounts.template.id").input("s3-new")
    app.text_input(key="mounts.template.path").input("/mnt/s3-new")
    app.text_input(key="mounts.template.secret").input("http://barbican/secret").run()
    app.button(key="mounts.template.confirm").click().run()
    app.text_input(key="step_up.typed").set_value(PASSWORD)
    app.button(key="step_up.confirm").click().run()
    app.button(key="mounts.template.confirm").click().run()
    assert [each.value for each in app.success] == ["s3-new can now be mounted by name."]


@pytest.mark.usefixtures("number")
def test_what_is_not_there_is_not_searched(open_page: OpenPage, as_: Callable[[str], None]) -> None:
    app = open_page(PAGE, role="viewer")
    as_("bob")
    app.run()
    app.text_input(key="changes.text").set_value("nobody of that name").run()
    assert "No change fits the search." in [each.value for each in app.info]
    assert app.text_input(key="changes.text").value, "it can be taken back"
    app.text_input(key="changes.text").set_value("").run()
    assert app.dataframe
    app = open_page(PAGE, role="viewer", view="done")
    assert not [each for each in app.text_input if each.key == "changes.text"]


def test_a_search_that_has_not_come_to_its_end_says_so(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "STRETCH", 1)
    world.rule(ONE)
    world.ask(text="first")
    world.ask(text="second")
    app = open_page(PAGE, role="viewer", text="nobody of that name")
    as_("bob")
    app.run()
    assert [each.value for each in app.info] == [tables.SEARCH_ON]
