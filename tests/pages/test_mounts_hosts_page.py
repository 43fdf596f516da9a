"""The mounts page of a whole host or target: its list, its page, released, verified."""

import json

import pytest

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.mounts import actions, explorer, orphans
from backend.sandbox.dms_agent import GONE_HOST
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mounts import MountsEnvironment
from tests.fixtures.pages import OpenPage
from tests.pages.test_mounts_page import PAGE, _active, _run_job, _text


@pytest.fixture
def page(open_page: OpenPage, lab: MountsEnvironment) -> OpenPage:
    return open_page


def test_a_mount_by_a_worker_elsewhere_is_counted_at_once(
    page: OpenPage, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which cannot tell this process that the counts that it keeps are stale."""
    app = page(PAGE, role="operator")
    before = len(app.dataframe[0].value)
    assert f"{before} entries." in _text(app)
    monkeypatch.setattr(explorer, "forget_counts", lambda: None)
    actions.run(
        database,
        SYSTEM,
        kind="mount",
        request=mount_request(jobid=4711, target="fresh", host="compute-03"),
    )
    assert f"{before + 1} entries." in _text(app.run())


class TestDeadHosts:
    def test_a_dead_host_is_released_once_its_name_is_typed(
        self, page: OpenPage, lab: MountsEnvironment, database: Database
    ) -> None:
        orphans.scan(database, SYSTEM)
        app = page(PAGE, role="operator", view="orphans")
        app.button(key=f"mounts.release.{GONE_HOST}").click().run()
        assert "1 entry says mounted" in _text(app)
        assert f"The queue dms.{GONE_HOST} does not exist." in _text(app)
        assert app.button(key="mounts.release.confirm").disabled
        app.text_input(key="mounts.release.typed").set_value(GONE_HOST).run()
        app.button(key="mounts.release.confirm").click().run()
        assert not app.exception
        assert _run_job(app, database).state == "succeeded"
        assert _active(database, host=GONE_HOST) == ()

    def test_a_viewer_is_offered_none(
        self, page: OpenPage, lab: MountsEnvironment, database: Database
    ) -> None:
        orphans.scan(database, SYSTEM)
        app = page(PAGE, role="viewer", view="orphans")
        assert not [button for button in app.button if "release" in str(button.key)]


class TestHostsAndTargets:
    def test_hosts_are_listed_and_one_has_its_page(
        self, page: OpenPage, database: Database
    ) -> None:
        orphans.scan(database, SYSTEM)
        app = page(PAGE, view="hosts")
        shown = app.dataframe[0].value
        assert list(shown.columns) == ["Host", "Active mounts", "Targets", "Look orphaned"]
        there = _active(database, host="compute-03")
        [row] = shown[shown["Host"] == "compute-03"].to_dict("records")
        assert row["Active mounts"] == len(there)
        app = page(PAGE, view="hosts", host="compute-03")
        assert app.header[0].value == "compute-03"
        assert f"{len(there)} active mounts" in _text(app)
        assert "The DMS server reads dms.compute-03; nothing waits in it." in _text(app)
        assert "duplicate: 2" in _text(app).replace("\\", "")
        assert len(app.dataframe[0].value) == len(there)
        app.button(key="mounts.place.back").click().run()
        assert "Active mounts" in app.dataframe[0].value

    def test_a_target_has_its_page(self, page: OpenPage, database: Database) -> None:
        app = page(PAGE, role="viewer", view="targets", target="s3-prod-eu")
        assert set(app.dataframe[0].value["Target"]) == {"s3-prod-eu"}
        assert not [button for button in app.button if "verify_host" in str(button.key)]

    def test_a_name_that_the_ledger_does_not_know_is_said_above_the_list(
        self, page: OpenPage
    ) -> None:
        app = page(PAGE, view="hosts", host="compute-77")
        assert "no entry for the host compute-77" in _text(app)
        assert "Active mounts" in app.dataframe[0].value

    def test_a_dead_hosts_page_says_so(self, page: OpenPage) -> None:
        app = page(PAGE, view="hosts", host=GONE_HOST)
        assert f"The queue dms.{GONE_HOST} does not exist" in _text(app)

    def test_a_host_is_verified_from_its_page(self, page: OpenPage, database: Database) -> None:
        app = page(PAGE, role="operator", view="hosts", host="compute-01")
        app.button(key="mounts.open.verify_host").click().run()
        assert "is asked about" in _text(app)
        app.text_input(key="mounts.verify_host.token").input("sandbox").run()
        app.button(key="mounts.verify_host.confirm").click().run()
        assert not app.exception
        job = _run_job(app, database)
        assert (job.state, job.subject) == ("succeeded", "verify compute-01")
        assert "sandbox" not in json.dumps(job.result)


class TestUnmountInTheRow:
    def test_only_who_may_sees_it_and_not_on_a_phone(
        self, page: OpenPage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table = page(PAGE, role="operator").dataframe[0].value
        assert set(table["Do"]) == {"Unmount …"}
        history = page(PAGE, role="operator", view="history").dataframe[0].value
        offered = history["Do"].notna()
        assert list(offered) == [state[0].startswith("mounted") for state in history["State"]]
        assert not offered.all()
        assert "Do" not in page(PAGE, role="viewer").dataframe[0].value
        monkeypatch.setattr("auth.current.narrow", lambda: True)
        phone = page(PAGE, role="operator")
        assert not phone.dataframe
        assert not [each for each in phone.button if each.label.startswith("Unmount")]
