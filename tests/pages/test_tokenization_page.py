"""The tokenization page: pick, preview, tick, confirm, follow, read back, compare."""

from typing import TYPE_CHECKING, Any

import pytest

from backend.jobs import broker
from backend.tokenization import service, tags
from backend.tokenization.schemas import RunView
from tests.backend.tokenization import conftest as rooms
from tests.backend.tokenization.world import STEWARD, World
from tests.fixtures.pages import OpenPage

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

source, gms, world, catalogued = rooms.source, rooms.gms, rooms.world, rooms.catalogued

PAGE = "tokenization/page.py"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "send", lambda *_: None)


def texts(app: "AppTest", kind: str) -> str:
    return "\n".join(str(element.value) for element in getattr(app, kind))


def runs(world: World) -> tuple[RunView, ...]:
    with world.database.read() as session:
        return service.list_runs(session, STEWARD).items


def previewed(open_page: OpenPage, world: World, role: str = "steward") -> "AppTest":
    return open_page(PAGE, role=role, dataset=world.source.urn("customers"))


def frame(app: "AppTest", column: str) -> Any:
    """The table that has this column."""
    (found,) = [each.value for each in app.dataframe if column in each.value]
    return found


def tick(app: "AppTest", *columns: str) -> None:
    """Tick columns of the preview as the browser says it: by place."""
    places = [list(frame(app, "Column")["Column"]).index(name) for name in columns]
    app.session_state["tokenization.table"] = {
        "selection": {"rows": places, "columns": [], "cells": []}
    }
    app.run()


class TestWorkList:
    def test_tagged_datasets_come_first_with_their_likely_columns(
        self, open_page: OpenPage, catalogued: World
    ) -> None:
        app = open_page(PAGE, role="steward")

        assert not app.exception
        shown = frame(app, "Likely columns")
        assert list(shown["Table"]) == [f"{catalogued.source.database}.public.customers"]
        assert list(shown["State"]) == [["tagged"]]
        assert list(shown["Likely columns"]) == ["2 · email, phone"]
        assert list(shown["Do"]) == ["Preview"]

    def test_what_ran_is_done_and_opens_its_run(
        self, open_page: OpenPage, catalogued: World
    ) -> None:
        catalogued.work(catalogued.start("customers"))

        app = open_page(PAGE, role="steward", only="done")

        shown = frame(app, "Likely columns")
        assert (list(shown["State"]), list(shown["Do"])) == ([["done"]], ["Open"])

    def test_viewers_have_no_button(self, open_page: OpenPage, catalogued: World) -> None:
        app = open_page(PAGE, role="viewer")

        assert "Do" not in frame(app, "Likely columns")
        assert "tokenization.pick" not in [button.key for button in app.button]

    def test_datahub_away_is_a_note(self, open_page: OpenPage, catalogued: World) -> None:
        with catalogued.gms.faults.inject(status=503):
            app = open_page(PAGE, role="steward")

        assert not app.exception
        assert "DataHub" in texts(app, "caption")
        assert "tokenization.pick" in [button.key for button in app.button]

    def test_no_environment_yet(self, open_page: OpenPage) -> None:
        app = open_page(PAGE, role="steward")

        assert "No environment is configured yet" in texts(app, "info")


class TestPick:
    def test_a_table_by_any_part_of_its_name(self, open_page: OpenPage, world: World) -> None:
        world.source.run(
            "CREATE TABLE people (email text)",
            "CREATE SCHEMA crm",
            "CREATE TABLE crm.leads (a text)",
        )
        app = open_page(PAGE, role="steward")
        app.button(key="tokenization.pick").click().run()

        box = app.selectbox(key="tokenization.pick.table")
        assert [name.rpartition(".")[2] for name in box.options] == ["leads", "people"]
        box.set_value(world.source.urn("people")).run()
        app.button(key="tokenization.pick.preview").click().run()

        assert app.query_params["dataset"] == world.source.urn("people")

    def test_search(self, open_page: OpenPage, catalogued: World) -> None:
        app = open_page(PAGE, role="steward")
        app.button(key="tokenization.pick").click().run()

        app.segmented_control(key="tokenization.way").set_value("search").run()
        app.text_input(key="tokenization.text").set_value("customers").run()
        (box,) = [each for each in app.selectbox if each.key == "tokenization.select"]
        box.set_value(catalogued.source.urn("customers")).run()
        app.button(key="tokenization.pick.preview").click().run()

        assert app.query_params["dataset"] == catalogued.source.urn("customers")


class TestPreview:
    def test_shows_counts_reasons_and_masked_samples(
        self, open_page: OpenPage, catalogued: World
    ) -> None:
        app = previewed(open_page, catalogued)

        assert not app.exception
        assert "50 rows" in texts(app, "caption")
        assert "**2 columns · 100 values** in 50 rows" in texts(app, "markdown")
        columns = frame(app, "Column").set_index("Column")
        assert columns["Why"]["id"] == "its type bigint is not text, and 1 more", "fits its column"
        everything = "\n".join(each.value.to_csv() for each in app.dataframe)
        assert "tagged pii in DataHub" in everything
        assert "p••••••@•••••••.•••" in everything
        assert "person1@" not in everything

    def test_blockers_leave_no_run_button(self, open_page: OpenPage, catalogued: World) -> None:
        catalogued.source.run("ALTER TABLE customers ADD CHECK (email LIKE '%@%')")

        app = previewed(open_page, catalogued)

        assert "check constraint" in texts(app, "error")
        assert "tokenization.run" not in [button.key for button in app.button]

    def test_a_guess_is_ticked_in_the_table_and_its_reason_reaches_the_run(
        self, open_page: OpenPage, catalogued: World
    ) -> None:
        catalogued.gms.store.upsert(
            catalogued.source.urn("customers"),
            "editableSchemaMetadata",
            {"editableSchemaFieldInfo": []},
        )

        app = previewed(open_page, catalogued)

        columns = frame(app, "Column")
        assert list(columns["Column"])[:2] == ["email", "phone"]
        assert columns["Guess"].iloc[0] == ["likely"]
        assert app.session_state["tokenization.table"]["selection"]["rows"] == []
        assert "tokenization.run" not in [button.key for button in app.button]

        tick(app, "email")

        assert "**1 column · 50 values** in 50 rows" in texts(app, "markdown")
        app.button(key="tokenization.run").click().run()
        app.button(key="tokenization.confirm.confirm").click().run()
        (run,) = runs(catalogued)
        assert run.document()["reasons"] == {
            "email": "chosen by name; its name says: e-mail address; 100% of 50 values agree"
        }

    def test_a_ticked_column_that_is_blocked_says_why(
        self, open_page: OpenPage, catalogued: World
    ) -> None:
        app = previewed(open_page, catalogued)
        tick(app, "email", "id")

        assert "its type bigint is not text" in texts(app, "error")
        assert "tokenization.run" not in [button.key for button in app.button]

    def test_a_wrong_urn_is_a_sentence(self, open_page: OpenPage, catalogued: World) -> None:
        app = open_page(PAGE, role="steward", dataset="customers")

        assert not app.exception
        assert "is not a" in texts(app, "warning")

    def test_viewers_see_runs_and_cannot_preview(
        self, open_page: OpenPage, catalogued: World
    ) -> None:
        app = open_page(PAGE, role="viewer", dataset=catalogued.source.urn("customers"))

        assert "tokenization.preview" not in [button.key for button in app.button]
        assert "Only stewards and admins preview" in texts(app, "caption")


class TestRun:
    def test_confirm_starts_one_run_and_its_page_shows_the_result(
        self, open_page: OpenPage, catalogued: World
    ) -> None:
        app = previewed(open_page, catalogued)
        app.button(key="tokenization.run").click().run()
        app.button(key="tokenization.confirm.confirm").click().run()

        (run,) = runs(catalogued)
        assert run.trigger == "page"
        assert app.query_params["run"] == str(run.id)
        assert "is on its way" in texts(app, "info")

        catalogued.work(run)
        app.run()

        assert not app.exception
        assert "50 of 50 rows were changed." in texts(app, "success")
        assert "until VACUUM has run" in texts(app, "markdown")
        assert "tokenize/status\\:SUCCESS" in texts(app, "markdown")
        catalogued.gms.store.upsert(
            catalogued.source.urn("customers"),
            "globalTags",
            {"tags": [{"tag": "urn:li:tag:gold"}]},
        )
        app.run()
        assert "gold" not in texts(app, "markdown")
        app.button(key="tokenization.read_back").click().run()
        assert "It says now: **gold**" in texts(app, "markdown")

    def test_a_table_without_plain_values_is_no_tokenization_but_may_tell_datahub(
        self, open_page: OpenPage, catalogued: World
    ) -> None:
        catalogued.work(catalogued.start("customers"))

        app = previewed(open_page, catalogued)
        button = app.button(key="tokenization.run")
        assert button.label == "Write the outcome to DataHub …"
        assert button.proto.type == "secondary"
        button.click().run()
        assert "Those that have come since get tokens" in texts(app, "markdown")

    def test_production_wants_the_name_typed(self, open_page: OpenPage, catalogued: World) -> None:
        from backend.connections import environments
        from tests.backend.tokenization.world import ADMIN

        with catalogued.database.write() as session:
            environments.update(session, ADMIN, name="test", version=1, is_production=True)
        app = previewed(open_page, catalogued)
        app.button(key="tokenization.run").click().run()

        assert app.button(key="tokenization.confirm.confirm").disabled
        app.text_input(key="tokenization.confirm.typed").set_value("customers").run()
        app.button(key="tokenization.confirm.confirm").click().run()

        assert len(runs(catalogued)) == 1

    def test_a_busy_table_is_said(self, open_page: OpenPage, catalogued: World) -> None:
        app = previewed(open_page, catalogued)
        catalogued.start("customers")
        app.button(key="tokenization.run").click().run()
        app.button(key="tokenization.confirm.confirm").click().run()

        assert "already under way" in texts(app, "warning")
        assert len(runs(catalogued)) == 1


class TestHistory:
    def test_filters_live_in_the_address(self, open_page: OpenPage, catalogued: World) -> None:
        catalogued.work(catalogued.start("customers"))

        app = open_page(PAGE, role="viewer", view="runs")
        assert list(app.dataframe[0].value["Changed"]) == [50]
        app.selectbox(key="tokenization.state").set_value("failed").run()
        assert "No run fits" in texts(app, "info")
        assert app.query_params["state"] == "failed"

    def test_times_are_instants_and_exact_on_hover(
        self, open_page: OpenPage, catalogued: World
    ) -> None:
        run = catalogued.work(catalogued.start("customers"))

        app = open_page(PAGE, role="viewer", view="runs", run=str(run.id))

        created = frame(app, "Created")
        assert list(created["Created"]) == [run.created_at]
        ended = next(each for each in app.metric if each.label == "Ended")
        assert ended.value.endswith(("now", "ago"))
        assert str(run.finished_at.year if run.finished_at else "") in ended.help

    def test_older_runs_and_back(
        self, open_page: OpenPage, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pages.tokenization.runs_view.PAGE", 1)
        first, second = (catalogued.work(catalogued.start("customers")) for _ in range(2))

        app = open_page(PAGE, role="viewer", view="runs")
        app.session_state["tokenization.history"] = {
            "selection": {"rows": [0], "columns": [], "cells": []}
        }
        app.run()
        assert app.query_params["run"] == str(second.id), "what was ticked is open"
        app.button(key="tokenization.next").click().run()
        created = frame(app, "Created")
        assert list(created["Run"]) == [first.id]
        assert app.query_params["run"] == str(second.id), "the list moved on, what is open not"
        assert "Asked for by" in texts(app, "caption")
        app.button(key="tokenization.first").click().run()

        created = frame(app, "Created")
        assert list(created["Run"]) == [second.id]
        assert "before" not in app.query_params

    @pytest.mark.parametrize("number", ["²", "9" * 30, "-1", "x"])
    def test_nonsense_in_the_address_is_left_out(
        self, open_page: OpenPage, catalogued: World, number: str
    ) -> None:
        app = open_page(PAGE, role="viewer", view="runs", run=number, before=number)

        assert not app.exception
        assert "No run was made yet" in texts(app, "info")

    def test_a_failed_write_back_can_be_tried_again(
        self, open_page: OpenPage, catalogued: World
    ) -> None:
        run = catalogued.start("customers")
        with catalogued.gms.faults.inject(status=500):
            catalogued.work(run)

        app = open_page(PAGE, role="steward", view="runs", run=str(run.id))
        app.button(key="tokenization.retry").click().run()

        assert "is written in the background" in texts(app, "info")
        assert catalogued.view(run.id).write_back == "pending"

    def test_a_hostile_dataset_name_is_text(self, open_page: OpenPage, catalogued: World) -> None:
        name = "<img src=x onerror=alert(1)>"
        catalogued.source.run(f'CREATE TABLE "{name}" (a text)')
        run = catalogued.work(catalogued.start(name, "a"))

        app = open_page(PAGE, role="viewer", view="runs", run=str(run.id))

        assert not app.exception
        assert "<img" not in texts(app, "markdown")


class TestCompare:
    def test_finds_who_says_done_and_is_not_and_the_reverse(
        self, open_page: OpenPage, catalogued: World
    ) -> None:
        catalogued.work(catalogued.start("customers"))
        catalogued.source.run("UPDATE customers SET email = 'new@example.org' WHERE id = 7")

        app = open_page(PAGE, role="steward", view="check")
        app.button(key="tokenization.compare").click().run()
        self.work(catalogued)
        app.run()

        (found,) = [f.value for f in app.dataframe if "Difference" in f.value]
        assert list(found["Difference"]) == ["DataHub says done, but the table holds plain values"]
        assert list(found["Detail"]) == ["1 of 50 rows hold a plain value."]

        catalogued.source.run("UPDATE customers SET email = '' WHERE id = 7")
        catalogued.gms.store.upsert(
            catalogued.source.urn("customers"), "globalTags", {"tags": [{"tag": tags.RUN}]}
        )
        app.button(key="tokenization.compare").click().run()
        self.work(catalogued)
        app.run()

        (found,) = [f.value for f in app.dataframe if "Difference" in f.value]
        assert list(found["Difference"]) == [
            "The table holds tokens only, but DataHub does not say done"
        ]

    def work(self, world: World) -> None:
        from backend.jobs import runner
        from backend.jobs import service as jobs

        with world.database.read() as session:
            (job,) = jobs.list_jobs(session, STEWARD, kind="tokenization.check", limit=1).items
        runner.run(job.id, world.database)
