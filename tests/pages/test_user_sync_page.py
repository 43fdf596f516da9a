"""The user sync page: plan, filter, tick over pages, confirm, follow, revert, ignore."""

import json

import pytest

from backend.jobs import broker, runner
from backend.jobs import service as jobs
from backend.user_sync import answers, run_repository, service
from backend.user_sync.schemas import LABELS
from backend.user_sync.writing import Outcome
from tests.backend.user_sync import conftest as rooms
from tests.fixtures.pages import unfold

directory, om, world, many = rooms.directory, rooms.om, rooms.world, rooms.many

PAGE = "user_sync/page.py"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch):
    monkeypatch.setattr(broker, "send", lambda *_: None)


def work(world):
    """Run what the page has queued."""
    with world.database.read() as session:
        waiting = jobs.list_jobs(session, world.admin, states=("queued",)).items
    for job in waiting:
        assert runner.run(job.id, world.database)


def shown(app) -> str:
    kinds = ("markdown", "caption", "info", "warning", "error", "success", "header", "subheader")
    return "\n".join(str(e.value) for kind in kinds for e in getattr(app, kind))


def counts(app) -> list[str]:
    """What the pills over the rows say."""
    return app.button_group(key="user_sync.kind").options


def words(app, column) -> list[str]:
    """The chips of a column of the last table, which is the one of an open drawer."""
    return [word for cell in app.dataframe[-1].value[column] for word in cell]


def html(app) -> str:
    return "\n".join(str(e.proto.body) for e in app.get("html"))


def box(app, world, plan, email):
    """The newest box of a user; its key ends with the number of times all boxes were set."""
    mine = f"user_sync.tick.{plan.id}.{world.row(plan, email).user_id}."
    (key,) = [each.key for each in app.checkbox if each.key.startswith(mine)]
    return app.checkbox(key=key)


def keys(app, kind) -> set[str]:
    return {element.key for element in getattr(app, kind)}


class TestPlan:
    def test_without_an_environment_says_where_to_begin(self, open_page, database):
        app = open_page(PAGE, role="steward")
        assert not app.exception
        assert "No environment" in shown(app)

    def test_is_made_by_a_job_and_shown_with_a_count_for_every_kind(self, open_page, world):
        app = open_page(PAGE, role="steward")
        assert "No plan was made yet" in shown(app)
        assert "Press **Plan now**" in shown(app)
        assert "Plan now" not in shown(open_page(PAGE, role="viewer")), "there is no such button"
        app = open_page(PAGE, role="steward")
        assert app.button(key="user_sync.plan").proto.type == "primary"  # all there is to do
        app.button(key="user_sync.plan").click().run()
        assert app.button(key="user_sync.plan").proto.type == "secondary"
        assert "Plan user changes" in shown(app)
        work(world)
        app.run()
        assert not app.exception
        pills = " ".join(counts(app))
        for kind in ("Will change", "Same", "Not in OpenMetadata", "Unknown domain", "Duplicate"):
            assert f"{kind} " in pills

    def test_whoever_asks_for_kinds_that_change_nothing_sees_them(self, open_page, world):
        world.plan()
        app = open_page(PAGE, role="viewer", kind="not_found")
        assert "new.joiner@example.com" in shown(app)

    def test_a_failed_plan_says_why(self, open_page, world):
        world.directory.refuse_after = 2
        app = open_page(PAGE, role="steward")
        app.button(key="user_sync.plan").click().run()
        work(world)
        assert "errors beside the data" in shown(app.run())

    def test_a_short_directory_answer_is_accepted_for_one_plan_only(self, open_page, world):
        world.plan()
        app = open_page(PAGE, role="steward")
        del world.directory.users[6:]
        app.checkbox(key="user_sync.accept_short").check().run()
        app.button(key="user_sync.plan").click().run()
        work(world)
        assert app.run().checkbox(key="user_sync.accept_short").value is False
        del world.directory.users[1:]
        app.button(key="user_sync.plan").click().run()
        work(world)
        assert "it named 1 people" in shown(app.run())

    def test_a_viewer_sees_rows_but_nothing_to_press(self, open_page, world):
        world.plan()
        app = open_page(PAGE, role="viewer")
        assert "Aaron" in html(app)
        assert "user_sync.plan" not in keys(app, "button")
        assert "user_sync.apply_open" not in keys(app, "button")

    def test_names_link_to_openmetadata_and_text_is_never_markup(self, open_page, world):
        world.directory.users.append(
            {"email": "jonas.weber@example.com", "displayName": "x", "domain": None}
        )
        world.om.store.edit_user("lena.novak", by="x", display_name="<img src=x onerror=alert(1)>")
        world.plan()
        app = open_page(PAGE, role="steward")
        assert f"({world.om.server.base_url}/users/lena.novak)" in shown(app)
        assert "<img" not in html(app)
        assert "&lt;img" in html(app)

    def test_whoever_is_not_in_openmetadata_is_no_link(self, open_page, world):
        world.plan()
        app = open_page(PAGE, role="viewer", kind="not_found")
        assert "` new.joiner@example.com `" in shown(app), "a bare address becomes a mailto link"

    def test_the_count_of_what_will_change_is_what_can_be_ticked(self, open_page, world):
        plan = world.plan()
        app = open_page(PAGE, role="steward")
        assert f"Will change {plan.changes}" in counts(app)
        app.button(key="user_sync.tick_all").click().run()
        assert f"**{plan.changes} ticked**" in shown(app)


class TestFilters:
    def test_every_pill_counts_the_rows_it_shows_and_what_rest_and_command_line_say(
        self, open_page, world
    ):
        plan = world.plan()
        said = answers.Plan.of(plan).counts
        pills = counts(open_page(PAGE, role="steward"))
        assert pills == [f"{LABELS[name]} {count:,}" for name, count in said.items() if count]
        for name, count in said.items():
            kinds = () if name in ("changes", "rows") else (name,)
            found = world.rows(plan, kinds=kinds, only_applicable=name == "changes")
            assert len(found) == count, name
        assert f"{said['changes']} will change" in plan.told

    def test_without_any_every_kind_of_row_is_drawn(self, open_page, world):
        world.plan()
        app = open_page(PAGE, role="steward")
        app.button_group(key="user_sync.kind").set_value("rows").run()
        assert not app.exception
        assert app.query_params["kind"] == "rows"
        said = shown(app).replace("\\", "")
        for person in world.directory.users:
            assert person["email"] is None or person["email"] in said

    def test_live_in_the_address(self, open_page, world):
        world.plan()
        app = open_page(PAGE, role="steward", kind="unknown_domain")
        assert "henrik.berg" in shown(app).replace("\\", "")
        assert "lena.novak" not in shown(app).replace("\\", "")

    def test_text_finds_and_nothing_found_is_said(self, open_page, world):
        world.plan()
        app = open_page(PAGE, role="steward")
        app.text_input(key="user_sync.text").set_value("horvat").run()
        assert app.query_params["text"] == "horvat"
        assert "\n1 row\n" in shown(app)
        app.text_input(key="user_sync.text").set_value("nobody of that name").run()
        assert "No row fits" in shown(app)


class TestTicks:
    def test_stay_with_their_users_over_pages_and_filters(self, open_page, many):
        world = many(60)
        plan = world.plan()
        app = open_page(PAGE, role="steward")
        box(app, world, plan, "user0003@example.com").check().run()
        app.button(key="user_sync.next").click().run()
        assert "Page 2 of 3" in shown(app)
        box(app, world, plan, "user0030@example.com").check().run()
        assert "**2 ticked**, 1 of them not on this page" in shown(app)
        app.text_input(key="user_sync.text").set_value("user0003").run()
        assert box(app, world, plan, "user0003@example.com").value is True
        box(app, world, plan, "user0003@example.com").uncheck().run()
        assert "**1 ticked**, 1 of them" in shown(app)

    def test_all_that_the_filters_find_or_the_page_can_be_ticked_at_once(self, open_page, many):
        world = many(60)
        world.plan()
        app = open_page(PAGE, role="steward")
        app.button(key="user_sync.tick_page").click().run()
        assert "**25 ticked**" in shown(app)
        app.button(key="user_sync.tick_all").click().run()
        assert "**60 ticked**, 35 of them" in shown(app)
        assert all(b.value for b in app.checkbox if b.key.startswith("user_sync.tick."))
        app.button(key="user_sync.untick").click().run()
        assert "**0 ticked**" in shown(app)
        assert app.button(key="user_sync.apply_open").disabled


class TestApply:
    def test_repeats_what_will_happen_runs_live_and_shows_each_outcome(self, open_page, world):
        plan = world.plan()
        app = open_page(PAGE, role="steward")
        box(app, world, plan, "dana.fox@example.com").check().run()
        box(app, world, plan, "lena.novak@example.com").check().run()
        app.button(key="user_sync.apply_open").click().run()
        assert "**2** of" in shown(app)
        assert "roles, teams and everything else stay" in shown(app)
        world.om.store.edit_user("dana.fox", by="eve", domains=("Research",))
        app.button(key="user_sync.apply.confirm").click().run()
        assert app.query_params["view"] == "history"
        assert "Apply user changes" in shown(app)
        (bar,) = app.get("progress")
        assert bar.proto.text == "0 of 2", "by the run's own counts, as the tiles"
        assert "took" not in shown(app)
        assert {m.label: m.value for m in app.metric}["Waiting"] == "2", "nobody was passed over"
        assert set(words(app, "Outcome")) == {"waiting"}
        work(world)
        app.run()
        assert not app.exception
        emails = app.dataframe[-1].value["E-mail"]
        outcomes = dict(zip(emails, words(app, "Outcome"), strict=True))
        assert outcomes == {"dana.fox@example.com": "conflict", "lena.novak@example.com": "applied"}
        assert world.stored("lena.novak")["displayName"] == "Lena Novak-Horvat"

    def test_asks_about_the_ticked_users_not_the_whole_plan(self, open_page, world):
        plan = world.plan()
        assert plan.fields["domains_removed"] > 0
        app = open_page(PAGE, role="steward")
        box(app, world, plan, "lena.novak@example.com").check().run()
        app.button(key="user_sync.apply_open").click().run()
        assert "a direct domain" not in shown(app), "only her name changes"
        assert f"` {plan.host_port} `" in shown(app), "as it is, to be recognised and copied"
        app.button(key="user_sync.apply.cancel").click().run()
        app.button(key="user_sync.tick_all").click().run()
        app.button(key="user_sync.apply_open").click().run()
        lose = plan.fields["domains_removed"]
        words = "1 of them loses" if lose == 1 else f"{lose} of them lose"
        assert f"{words} a direct domain: ` aaron_johnson0@example.com `" in shown(app)

    def test_above_the_limit_the_number_must_be_typed(self, open_page, many):
        world = many(120)
        plan = world.plan()
        app = open_page(PAGE, role="steward")
        app.button(key="user_sync.tick_all").click().run()
        app.button(key="user_sync.apply_open").click().run()
        assert "more than the limit of 20 %" in shown(app)
        assert app.button(key="user_sync.apply.confirm").disabled
        app.text_input(key="user_sync.apply.typed").set_value("120").run()
        app.button(key="user_sync.apply.confirm").click().run()
        with world.database.read() as session:
            assert service.get_plan(session, world.steward, plan_id=plan.id).run_id is not None

    def test_an_applied_plan_links_to_its_run_and_cannot_be_applied_again(self, open_page, world):
        plan = world.plan()
        run = world.apply(plan)
        app = open_page(PAGE, role="steward", plan=str(plan.id))
        assert f"applied: run {run.id}" in shown(app)
        assert "user_sync.apply_open" not in keys(app, "button")
        app.button(key="user_sync.open_run").click().run()
        assert f"of plan {plan.id}, " in shown(app)

    def test_undo_is_a_plan_to_review(self, open_page, world):
        run = world.apply(world.plan())
        app = open_page(PAGE, role="steward", run=str(run.id), view="history")
        app.button(key="user_sync.revert").click().run()
        assert f"takes back run {run.id}" in shown(app)
        app.button(key="user_sync.tick_all").click().run()
        app.button(key="user_sync.apply_open").click().run()
        app.button(key="user_sync.apply.confirm").click().run()
        work(world)
        assert world.stored("lena.novak")["displayName"] == "Lena Novak"

    def test_a_run_at_work_has_one_set_of_numbers(self, open_page, world):
        run = world.start(world.plan())
        with world.database.write() as session:
            assert run_repository.claim(session, run.id, "elsewhere:1")
            ended = [(0, Outcome("applied")), (1, Outcome("failed", "no"))]
            positions = [p for p, _ in run_repository.next_changes(
                session, run.id, "pending", after=-1, limit=2)]  # fmt: skip
            outcomes = [(p, o) for p, (_, o) in zip(positions, ended, strict=True)]
            run_repository.record(session, run.id, "elsewhere:1", intents=[], outcomes=outcomes)
        app = open_page(PAGE, role="steward", run=str(run.id), view="history")
        (bar,) = app.get("progress")
        assert bar.proto.text == f"2 of {run.total}"
        tiles = {metric.label: metric.value for metric in app.metric}
        assert (tiles["Applied"], tiles["Failed"]) == ("1", "1")
        assert tiles["Waiting"] == str(run.total - 2)
        table = app.dataframe[0].value
        assert table["Applied"].isna().all(), "what is at work is counted above alone"

    def test_a_stopped_run_says_why_and_can_be_continued(self, open_page, world):
        plan = world.plan()
        world.om.faults.add(method="PATCH", after=2, status=503)
        run = world.apply(plan)
        world.om.faults.clear()
        app = open_page(PAGE, role="steward", run=str(run.id), view="history")
        assert "not available" in shown(app)
        app.button(key="user_sync.resume").click().run()
        work(world)
        with world.database.read() as session:
            assert service.get_run(session, world.steward, run_id=run.id).state == "succeeded"

    def test_a_run_with_an_unknown_user_can_be_continued_too(self, open_page, world):
        plan = world.plan()
        user_id = world.row(plan, "lena.novak@example.com").user_id
        rooms.lose(world, user_id)
        run = world.apply(plan)
        world.om.faults.clear()
        assert run.counts["unknown"] == 1
        app = open_page(PAGE, role="steward", run=str(run.id), view="history")
        app.button(key="user_sync.resume").click().run()
        work(world)
        with world.database.read() as session:
            assert service.get_run(session, world.steward, run_id=run.id).state == "succeeded"


def charts(app) -> list[dict]:
    """The specifications of the page's charts."""
    return [json.loads(found.proto.spec) for found in app.get("vega_lite_chart")]


class TestHistory:
    def test_charts_say_in_words_and_tables_what_plans_found_and_runs_did(self, open_page, world):
        world.apply(world.plan(), emails=["dana.fox@example.com"])
        world.apply(world.plan())
        app = open_page(PAGE, role="viewer", view="history")
        assert not app.exception
        found, ended = charts(app)
        assert "last 2 plans. The newest, plan 2: 9 will change (of them 1" in found["description"]
        assert "run 2: 9 applied." in ended["description"]
        app = unfold(app, "numbers.Differences each plan found", "numbers.How each run ended")
        tables = [frame.value for frame in app.dataframe][2:]  # below runs and plans
        assert tables[0]["Will change"].tolist() == [10, 9]
        assert tables[1]["applied"].tolist() == [1, 9]

    def test_one_plan_is_no_history(self, open_page, world):
        world.plan()
        app = open_page(PAGE, role="viewer", view="history")
        assert charts(app) == []
        assert "Nothing was applied yet" in shown(app)

    def test_times_are_instants_for_the_browser_to_put_into_words(self, open_page, world):
        plan = world.plan()
        (table,) = open_page(PAGE, role="viewer", view="history").dataframe
        assert table.value["Created"].tolist() == [plan.created_at]
        assert table.value["State"].tolist() == ["waiting"]


class TestLeaveAlone:
    def test_needs_a_reason_and_leaves_the_plan(self, open_page, world):
        plan = world.plan()
        app = open_page(PAGE, role="steward", text="horvat")
        app.button(key="user_sync.leave_do").click().run()
        assert "Say why" in shown(app)
        app.text_input(key="user_sync.leave_reason").set_value("asked HR").run()
        app.button(key="user_sync.leave_do").click().run()
        assert "ignored until it changes" in shown(app)
        with world.database.read() as session:
            now = service.get_plan(session, world.steward, plan_id=plan.id)
        assert now.changes == plan.changes - 1
        app = open_page(PAGE, role="steward", view="settings")
        assert "asked HR" in app.dataframe[0].value["Why"].tolist()
        app.button(key="user_sync.forget_do").click().run()
        assert "None. A difference" in shown(app)


class TestSettings:
    def test_admins_set_a_schedule_and_mistakes_are_sentences(self, open_page, world):
        app = open_page(PAGE, role="admin", view="settings")
        app.text_input(key="user_sync.cron").set_value("whenever")
        app.button(key="user_sync.save").click().run()
        assert "no cron expression" in shown(app).replace("\\", "")
        app.text_input(key="user_sync.cron").set_value("0 6 * * 1-5")
        app.button(key="user_sync.save").click().run()
        assert "Next planning in" in shown(app)

    def test_stewards_may_only_look(self, open_page, world):
        app = open_page(PAGE, role="steward", view="settings")
        assert app.text_input(key="user_sync.cron").disabled


class TestOverview:
    def test_tells_of_waiting_changes_that_can_be_opened(self, open_page, world):
        plan = world.plan()
        [table] = open_page("overview/page.py", role="steward").dataframe
        said = f"{plan.changes} user changes wait for review in test."
        row = table.value[table.value["What"] == said].iloc[0]
        assert (row["Where"], row["Do"]) == ("User sync", "Review")
