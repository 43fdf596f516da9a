"""One write at a time: guarded where possible, compared always, and every bad day named."""

from dataclasses import replace

import pytest

from backend.integrations.openmetadata.gateway import OpenMetadataGateway
from backend.sandbox.loopback import Response
from backend.sandbox.openmetadata import StandIn, seeding
from backend.user_sync.writing import TRIES, Change, Writer, operations


def change_of(gateway, name, *, display=..., domains=..., more=""):
    users = {u.name: u for page in gateway.users() for u in page.users}
    known = {d.fqn: d.ref for d in gateway.domains()}
    user = users[name]
    changes = {}
    if display is not ...:
        changes["displayName"] = (user.display_name, display)
    if domains is not ...:
        changes["domains"] = (user.domains, tuple(known[d] for d in domains))
    if more:
        changes["description"] = (user.texts.get("description"), more)
    return Change(
        user_id=user.id,
        email=user.email,
        changes=changes,
        version=user.version,
        updated_at=user.updated_at,
    )


@pytest.fixture
def server():
    with StandIn(seed=seeding.seed_demo) as running:
        yield running


def writer(server, account="portal-admin", **more):
    gateway = OpenMetadataGateway(server.url, server.token(account), sleep=lambda _s: None, **more)
    who = gateway.probe()
    return gateway, Writer(gateway, principal=who.principal, is_bot=who.is_bot)


@pytest.fixture
def ready(server):
    gateway, written = writer(server)
    yield gateway, written
    gateway.close()


def store_and_answer(server, response):
    """Every PATCH is stored and answered with this."""
    real = server.api.answer
    server.server._answer = lambda request: (
        real(request) and response if request.method == "PATCH" else real(request)
    )


def patches(server):
    return sum(method == "PATCH" for method, _ in server.requests)


class TestWrite:
    @pytest.mark.parametrize(("stored", "state"), [("ß", "conflict"), ("SS", "applied")])
    def test_a_user_with_another_address_is_somebody_else(self, server, ready, stored, state):
        gateway, written = ready
        change = change_of(gateway, "dana.fox", display="Dana")
        server.store.users[change.user_id]["email"] = f"dana@stra{stored}e.example"
        outcome = written.write(replace(change, email="dana@strasse.example"))
        assert outcome.state == state

    def test_stores_name_and_domains_and_nothing_else(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "anna.kowalska", display="Anna M.", domains=["Marketing"])
        before = gateway.raw_user(change.user_id, "*")
        outcome = written.write(change)
        after = gateway.raw_user(change.user_id, "*")
        assert (outcome.state, outcome.stored) == ("applied", ("displayName", "domains"))
        assert outcome.version_after == after["version"]
        changed = {key for key in after if after[key] != before.get(key)}
        assert changed == {"displayName", "domains", "version", "updatedAt", "updatedBy",
                           "changeDescription"}  # fmt: skip

    def test_an_answer_that_leaves_fields_out_is_read_back(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "dana.fox", domains=["Research"])
        gateway.enforces_if_match(change.user_id)
        bare = b'{"id": "%s", "name": "dana.fox", "email": "x@y.z"}' % change.user_id.encode()
        store_and_answer(server, Response(200, bare))
        assert written.write(change).state == "applied"

    def test_clears_a_name_when_an_undo_asks_for_it(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "dana.fox", display=None)
        assert operations(change) == [{"op": "remove", "path": "/displayName"}]
        assert written.write(change).state == "applied"
        assert "displayName" not in gateway.raw_user(change.user_id, "*")

    def test_what_is_so_already_is_not_written(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "dana.fox", display="Dana F.")
        server.store.edit_user("dana.fox", by="x", display_name="Dana F.")
        outcome = written.write(change)
        assert (outcome.state, outcome.stored, patches(server)) == ("applied", (), 0)

    @pytest.mark.parametrize("version", ["1.9.11", "1.12.4", "1.13.0"])
    def test_older_servers_get_domains_without_if_match_and_are_read_back(self, version):
        with StandIn(seed=seeding.seed_demo, version=version) as server:
            gateway, written = writer(server)
            change = change_of(gateway, "carla.chen", display="C.", domains=["Research"])
            assert written.write(change).state == "applied"
            assert [d.name for d in gateway.user(change.user_id).domains] == ["Research"]
            gateway.close()


class TestConflicts:
    def test_a_name_changed_meanwhile_is_left_and_told(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "dana.fox", display="Dana F.")
        server.store.edit_user("dana.fox", by="eve", display_name="Dana Wolf")
        outcome = written.write(change)
        assert outcome.state == "conflict"
        assert "“Dana Wolf”, it was “Dana Fox”" in outcome.reason
        assert "changed by eve on 20" in outcome.reason
        assert server.store.user_named("dana.fox")["displayName"] == "Dana Wolf"

    def test_domains_changed_meanwhile_are_left_and_told(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", domains=["Research"])
        server.store.edit_user("carla.chen", by="eve", domains=("Finance",))
        outcome = written.write(change)
        assert outcome.state == "conflict"
        assert "domains are now Finance, they were Marketing" in outcome.reason

    def test_a_list_and_a_read_that_disagree_are_told_apart_from_an_edit(self, server, ready):
        """Servers show a team's domain in one of the two and do not call it inherited."""
        gateway, written = ready
        change = change_of(gateway, "carla.chen", domains=["Research"])
        change = replace(change, changes={"domains": ((), change.changes["domains"][1])})
        outcome = written.write(change)
        assert (outcome.state, patches(server)) == ("conflict", 0)
        assert (
            "the server's list showed the domains none, but asked for the user alone it shows "
            "Marketing, and nobody changed the user"
        ) in outcome.reason

    def test_a_change_of_another_field_is_no_conflict(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="Carla C.")
        server.store.edit_user("carla.chen", by="eve", domains=("Finance",), description="new")
        assert written.write(change).state == "applied"
        assert server.store.user_named("carla.chen")["description"] == "new"

    def test_a_renamed_account_is_still_the_same_user(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="Carla C.")
        server.store.edit_user("carla.chen", by="eve", name="carla.c")
        assert written.write(change).state == "applied"

    def test_a_deleted_user_is_a_conflict(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="Carla C.")
        server.store.edit_user("carla.chen", by="eve", deleted=True)
        outcome = written.write(change)
        assert (outcome.state, "gone" in outcome.reason) == ("conflict", True)

    def test_a_domain_deleted_since_the_plan_is_never_written(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", domains=["Research"])
        del server.store.domains[server.store.domain_id("Research")]
        outcome = written.write(change)
        assert outcome.state == "conflict"
        assert outcome.reason == "the domain Research was deleted since the plan"
        assert ("PATCH", f"/api/v1/users/{change.user_id}") not in server.requests

    def test_one_412_is_tried_again_with_the_new_version(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="Carla C.")
        gateway.enforces_if_match(change.user_id)
        server.faults.add(method="PATCH", status=412, times=2)
        assert written.write(change).state == "applied"

    def test_a_storm_of_412_ends(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="Carla C.")
        server.faults.add(method="PATCH", status=412)
        before = patches(server)
        outcome = written.write(change)
        assert outcome.state == "conflict"
        assert f"{TRIES} times" in outcome.reason
        assert patches(server) - before == TRIES + 1  # the probe of If-Match is one


class TestRefusals:
    def test_from_2_0_a_bot_that_keeps_the_old_name_is_a_failure_with_its_cause(self, server):
        gateway, written = writer(server, "ingestion-bot")
        change = change_of(gateway, "carla.chen", display="C.", domains=["Research"])
        outcome = written.write(change)
        assert (outcome.state, outcome.stored) == ("failed", ("domains",))
        assert "ingestion-bot is a bot" in outcome.reason
        assert "DefaultBotPolicy" in outcome.reason
        gateway.close()

    def test_a_bots_name_change_alone_names_the_policy(self, server):
        gateway, written = writer(server, "ingestion-bot")
        outcome = written.write(change_of(gateway, "carla.chen", display="C."))
        assert outcome.state == "failed"
        assert "DisplayName-Deny" in outcome.reason
        gateway.close()

    def test_a_refused_token_stops_the_run(self, server):
        gateway, written = writer(server)
        change = change_of(gateway, "carla.chen", display="C.")
        server.faults.add(path=r"/users/", status=401)
        outcome = written.write(change)
        assert (outcome.state, outcome.stops) == ("pending", True)
        gateway.close()

    @pytest.mark.parametrize(("status", "said"), [(500, "500"), (400, "400")])
    def test_other_refusals_fail_the_row(self, server, ready, status, said):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="C.")
        gateway.enforces_if_match(change.user_id)
        server.faults.add(method="PATCH", status=status)
        outcome = written.write(change)
        assert outcome.state == "failed"
        assert said in outcome.reason

    def test_a_limit_of_requests_is_waited_for_as_long_as_it_asks(self, server):
        waited = []
        gateway = OpenMetadataGateway(server.url, server.token("portal-admin"), sleep=waited.append)
        change = change_of(gateway, "carla.chen", display="C.")
        gateway.enforces_if_match(change.user_id)
        server.faults.add(method="PATCH", status=429, times=2, headers={"Retry-After": "7"})
        assert Writer(gateway).write(change).state == "applied"
        assert len(waited) == 2
        assert all(7 <= seconds <= 9 for seconds in waited)
        gateway.close()

    @pytest.mark.parametrize(("method", "status"), [("PATCH", 429), ("GET", 429), ("GET", 504)])
    def test_a_server_that_has_no_time_leaves_the_row_for_later(
        self, server, ready, method, status
    ):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="C.")
        gateway.enforces_if_match(change.user_id)
        server.faults.add(method=method, status=status)
        outcome = written.write(change)
        assert (outcome.state, outcome.away) == ("pending", True)

    def test_the_question_whether_if_match_is_honoured_changes_nothing_when_it_gets_lost(
        self, server, ready
    ):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="C.")
        server.faults.add(method="PATCH", drop="after")
        outcome = written.write(change)
        assert (outcome.state, outcome.away) == ("pending", True)
        assert "may not have been stored" not in outcome.reason


class TestLostAnswers:
    def test_stored_all_the_same_counts_as_applied(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="C.")
        gateway.enforces_if_match(change.user_id)
        server.faults.add(method="PATCH", drop="after")
        outcome = written.write(change)
        assert (outcome.state, outcome.stored) == ("applied", ("displayName",))
        assert "answer was lost" in outcome.reason

    def test_not_seen_yet_is_unknown(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="C.")
        gateway.enforces_if_match(change.user_id)
        server.faults.add(method="PATCH", drop="before")
        outcome = written.write(change)
        assert (outcome.state, outcome.stored) == ("unknown", ())
        assert "may not have been stored" in outcome.reason

    @pytest.mark.parametrize("version", ["1.12.4", "2.0.0"])
    @pytest.mark.parametrize(
        ("status", "state"),
        [
            (503, "sending"),
            (504, "sending"),
            (429, "sending"),
            (401, "sending"),
            (404, "unknown"),
            (500, "unknown"),
        ],
    )
    def test_a_stored_change_that_cannot_be_read_back_is_looked_at_later(
        self, version, status, state
    ):
        with StandIn(seed=seeding.seed_demo, version=version) as server:
            gateway, written = writer(server)
            change = change_of(gateway, "carla.chen", display="C.")
            gateway.enforces_if_match(change.user_id)
            real = server.api.answer
            bare = b'{"id": "%s", "name": "carla.chen"}' % change.user_id.encode()
            server.server._answer = lambda request: (
                real(request) and Response(200, bare)
                if request.method == "PATCH"
                else real(request)
            )
            server.faults.add(method="GET", path=change.user_id, after=1, status=status)
            outcome = written.write(change)
            assert (outcome.state, outcome.stored) == (state, ())
            assert outcome.stops is (status == 401)
            assert outcome.away is (status in (503, 504, 429))
            assert "gone" not in outcome.reason
            server.faults.clear()
            settled = written.settle(change)
            assert (settled.state, settled.stored) == ("applied", ("displayName",))
            gateway.close()

    def test_a_503_of_a_change_that_was_stored_is_found_out(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="C.")
        gateway.enforces_if_match(change.user_id)
        store_and_answer(server, Response(503, b"{}"))
        outcome = written.write(change)
        assert (outcome.state, outcome.away) == ("sending", True)
        assert written.settle(change).stored == ("displayName",)

    def test_an_error_in_place_of_an_answer_is_looked_behind(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="C.")
        gateway.enforces_if_match(change.user_id)
        store_and_answer(server, Response(500, b"{}"))
        outcome = written.write(change)
        assert (outcome.state, outcome.stored) == ("applied", ("displayName",))


class TestSettle:
    def test_what_is_stored_is_not_sent_again(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="C.")
        written.write(change)
        before = patches(server)
        outcome = written.settle(change)
        assert (outcome.state, outcome.stored) == ("applied", ("displayName",))
        assert patches(server) == before

    def test_what_is_not_there_is_written(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="C.")
        assert written.settle(change).state == "applied"

    def test_while_openmetadata_is_away_nothing_is_decided(self, server, ready):
        gateway, written = ready
        change = change_of(gateway, "carla.chen", display="C.")
        server.faults.add(status=503)
        outcome = written.settle(change)
        assert (outcome.state, outcome.away) == ("sending", True)
