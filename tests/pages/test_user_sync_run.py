"""On the user sync page: what a run shows of each user, and plans that end while nobody looks."""

from backend.jobs import broker, runner
from backend.user_sync import service
from tests.backend.user_sync import conftest as rooms
from tests.fixtures.pages import answer_late
from tests.pages.test_user_sync_page import shown

directory, om, world = rooms.directory, rooms.om, rooms.world

PAGE = "user_sync/page.py"


def test_blanks_that_nobody_sees_are_marked_in_the_run_too(open_page, world):
    world.om.store.edit_user("lena.novak", by="x", display_name=" Lena Novak-Horvat")
    emails = ["chloe_martin@example.com", "lena.novak@example.com", "dana.fox@example.com"]
    run = world.apply(world.plan(), emails=emails)
    shown = open_page(PAGE, role="viewer", run=str(run.id), view="history").dataframe[-1].value
    names = {
        email: (old, new)
        for email, old, new in zip(
            shown["E-mail"], shown["Old name"], shown["New name"], strict=True
        )
    }
    assert names == {
        "chloe_martin@example.com": ("Chloe␣ Martin", "Chloe Martin"),
        "lena.novak@example.com": ("␣Lena Novak-Horvat", "Lena Novak-Horvat"),
        "dana.fox@example.com": ("", ""),
    }


def test_a_plan_that_is_ready_a_moment_after_it_was_read_is_shown(open_page, world, monkeypatch):
    monkeypatch.setattr(broker, "send", lambda *_: None)
    with world.database.write() as session:
        plan = service.start_plan(session, world.steward, environment=world.env)
    runner.run(plan.job_id, world.database)
    answer_late(monkeypatch, service, "get_plan", state="planning")
    app = open_page(PAGE, role="steward", plan=str(plan.id))
    assert not app.exception
    assert app.button_group(key="user_sync.kind").options


def test_the_end_of_a_plan_is_told_once_although_nobody_saw_it_being_made(
    open_page, world, monkeypatch
):
    monkeypatch.setattr(broker, "send", lambda job_id, _queue: runner.run(job_id, world.database))
    said = "Plan user changes: succeeded."
    app = open_page(PAGE, role="steward")
    app.button(key="user_sync.plan").click().run()
    assert not app.exception
    assert said in shown(app)
    assert said not in shown(app.run())
    assert said not in shown(open_page(PAGE, role="steward"))
