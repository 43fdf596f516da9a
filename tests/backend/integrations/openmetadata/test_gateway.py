"""The gateway reads, writes and fails as its docstring promises."""

import json
from datetime import UTC, datetime

import pytest

from backend.core.errors import (
    InvalidInput,
    OutcomeUnknown,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations.openmetadata import wire
from backend.integrations.openmetadata.errors import (
    Denied,
    Moved,
    NotThere,
    Throttled,
    TokenRefused,
    WrongAddress,
)
from backend.integrations.openmetadata.gateway import OpenMetadataGateway, checked_address
from backend.sandbox.openmetadata import StandIn, seeding
from tests.backend.connections.bad_server import BadServer, answer
from tests.backend.integrations.openmetadata.conftest import sample


def by_name(gateway: OpenMetadataGateway) -> dict:
    return {user.name: user for page in gateway.users(page_size=5) for user in page.users}


class TestListing:
    def test_returns_every_user_over_all_pages_by_cursor(self, stand_in, gateway):
        assert by_name(gateway).keys() == {u["name"] for u in stand_in.store.users.values()}

    def test_tells_inherited_domains_from_direct_ones(self, gateway):
        dana = by_name(gateway)["dana.fox"]
        assert dana.domains == ()
        assert [ref.fqn for ref in dana.inherited] == ["Finance"]

    def test_reads_the_contracts_pages(self):
        page, after = wire.UserReader().page(
            json.dumps(sample("sample-users-page-1.json")).encode()
        )
        assert after
        assert page.users[0].display_name == "Anna Kowalska"
        assert [ref.fqn for ref in page.users[0].domains] == ["Finance.Payments"]
        _, last = wire.UserReader().page(json.dumps(sample("sample-users-page-2.json")).encode())
        assert last is None

    def test_accepts_unknown_keys_and_odd_addresses(self, stand_in, gateway):
        stand_in.store.extra_keys = {"somethingNew": {"a": [1]}}
        stand_in.store.add_user("odd", email="x@corp.local")
        stand_in.store.add_user("odder", email="x@1.2.3.4..")
        assert {"odd", "odder"} <= by_name(gateway).keys()

    def test_one_unreadable_entry_costs_one_entry_and_is_counted(self):
        users = [
            {"id": "1", "name": "a", "email": 7, "version": "x"},
            {"name": "no id"},
            {"id": "2", "name": "b", "email": "b@example.com", "domains": [{"id": "d"}, "?"]},
        ]
        body = json.dumps({"data": users, "paging": {"total": 3}}).encode()
        page, _ = wire.UserReader().page(body)
        assert [u.name for u in page.users] == ["a", "b"]
        assert page.unreadable == 1

    def test_refuses_a_list_that_ends_early(self, stand_in, gateway):
        body = json.dumps({"data": [], "paging": {"total": 500}}).encode()
        stand_in.faults.add(path="/users$", body=body)
        with pytest.raises(UpstreamError, match="ended after 0 of 500"):
            list(gateway.users())

    @pytest.mark.parametrize("missing", [1, 9])
    def test_refuses_a_list_that_is_a_few_users_short(self, stand_in, gateway, missing):
        users = [{"id": str(n), "name": f"u{n}", "email": f"u{n}@x.io"} for n in range(1000)]
        body = json.dumps({"data": users[missing:], "paging": {"total": 1000}}).encode()
        stand_in.faults.add(path="/users$", body=body)
        with pytest.raises(UpstreamError, match="of 1000"):
            list(gateway.users())

    def test_somebody_on_two_pages_does_not_stand_for_somebody_missing(self, stand_in, gateway):
        users = [{"id": str(n), "name": f"u{n}", "email": f"u{n}@x.io"} for n in range(4)]
        paging = {"total": 4, "after": "x"}
        first = json.dumps({"data": users[:2], "paging": paging}).encode()
        second = json.dumps({"data": [users[1], users[3]], "paging": {"total": 4}}).encode()
        stand_in.faults.add(path="/users$", body=first, times=1)
        stand_in.faults.add(path="/users$", body=second)
        with pytest.raises(UpstreamError, match="ended after 3 of 4"):
            list(gateway.users())

    @pytest.mark.parametrize("change", ["comes", "goes"])
    def test_takes_a_list_that_changes_behind_the_reader(self, stand_in, gateway, change):
        first = {u["name"]: u for u in stand_in.store.users.values()}
        pages = gateway.users(page_size=5)
        seen = [u.name for u in next(pages).users]
        if change == "comes":
            stand_in.store.add_user("aaaa")
        else:
            del stand_in.store.users[first[seen[0]]["id"]]
        seen += [u.name for page in pages for u in page.users]
        assert sorted(seen) == sorted(first)

    def test_refuses_pages_that_go_round_in_circles(self, stand_in, gateway):
        body = json.dumps({"data": [], "paging": {"after": "x", "total": 1}}).encode()
        stand_in.faults.add(path="/users$", body=body)
        with pytest.raises(UpstreamError, match="circles"):
            list(gateway.users())

    def test_a_page_that_fails_in_the_middle_fails_the_listing(self, stand_in, gateway):
        stand_in.faults.add(path="/users$", after=1, status=500)
        with pytest.raises(UpstreamError):
            list(gateway.users(page_size=5))

    def test_lists_subdomains_with_their_full_names(self, gateway):
        assert {"Finance", "Finance.Payments", '"R.D"'} <= {d.fqn for d in gateway.domains()}


class TestProbe:
    def test_names_the_server_and_the_account(self, gateway):
        probe = gateway.probe()
        assert (probe.version, probe.principal, probe.is_admin) == ("2.0.6", "portal-admin", True)
        assert probe.token_expires_at is not None
        assert "expires on" in probe.expiring[0]

    def test_without_who_am_i_the_token_is_proven_by_another_read(self, stand_in, connect):
        stand_in.faults.add(path="loggedInUser", status=404)
        probe = connect(stand_in).probe()
        assert (probe.principal, probe.version) == ("", "2.0.6")
        with pytest.raises(TokenRefused):
            connect(stand_in, expires_in=-5).probe()

    def test_warns_that_a_bot_may_not_change_names(self, stand_in, connect):
        probe = connect(stand_in, "ingestion-bot").probe()
        assert any("bot" in w and "silently" in w for w in probe.warnings)

    def test_says_when_the_token_expired(self, stand_in, connect):
        gateway = connect(stand_in, expires_in=-60)
        assert gateway.version().text == "2.0.6"  # this path needs no token
        with pytest.raises(TokenRefused, match=r"expired on \d{4}-\d\d-\d\d at \d\d:\d\d UTC"):
            gateway.probe()

    def test_says_when_the_token_is_wrong(self, stand_in):
        with (
            OpenMetadataGateway(stand_in.url, "nonsense") as gateway,
            pytest.raises(TokenRefused, match="Invalid Token"),
        ):
            gateway.probe()

    def test_says_when_the_address_is_a_web_page(self, stand_in):
        with (
            OpenMetadataGateway(f"{stand_in.server.base_url}/ui/api", "x") as gateway,
            pytest.raises(WrongAddress, match="end in /api"),
        ):
            gateway.probe()

    @pytest.mark.parametrize("body", ["{}", '{"data": {"users": []}}', '{"version": null}'])
    def test_says_when_something_else_answers_everything_with_json(self, body):
        with BadServer() as other:
            other.behave = answer("200 OK", body)
            with (
                OpenMetadataGateway(f"{other.url}/api", "x") as gateway,
                pytest.raises(WrongAddress, match="names no version"),
            ):
                gateway.probe()

    @pytest.mark.parametrize("address", ["localhost:8585/api", "ftp://x/api", "http://x", ""])
    def test_refuses_an_address_that_cannot_be_right(self, address):
        with pytest.raises(InvalidInput):
            checked_address(address)

    def test_takes_a_slash_at_the_end(self):
        assert checked_address("http://x:8585/api/") == "http://x:8585/api"


class TestPatch:
    NAME = staticmethod(lambda value: [{"op": "add", "path": "/displayName", "value": value}])

    def test_changes_only_what_it_names(self, stand_in, gateway):
        before = gateway.raw_user(by_name(gateway)["anna.kowalska"].id, "*")
        after = gateway.patch_user(before["id"], self.NAME("Anna B."), if_match=before["version"])
        now = gateway.raw_user(before["id"], "*")
        assert after.display_name == "Anna B."
        assert after.version == pytest.approx(before["version"] + 0.1)
        for kept in ("roles", "teams", "profile", "domains", "email"):
            assert now[kept] == before[kept]

    def test_an_older_version_is_refused_as_moved(self, gateway):
        user = by_name(gateway)["anna.kowalska"]
        gateway.patch_user(user.id, self.NAME("One"), if_match=user.version)
        with pytest.raises(Moved):
            gateway.patch_user(user.id, self.NAME("Two"), if_match=user.version)

    def test_a_bots_name_change_is_denied_with_the_policy_named(self, stand_in, connect):
        gateway = connect(stand_in, "ingestion-bot")
        user = by_name(gateway)["anna.kowalska"]
        with pytest.raises(Denied, match="DefaultBotPolicy") as caught:
            gateway.patch_user(user.id, self.NAME("Nope"), if_match=None)
        assert (caught.value.operation, caught.value.rule) == (
            "EditDisplayName",
            "DisplayName-Deny",
        )

    def test_an_account_without_the_right_is_denied(self, stand_in, connect):
        user = by_name(connect(stand_in))["anna.kowalska"]
        gateway = connect(stand_in, "brian_smith7")
        with pytest.raises(Denied, match="may not"):
            gateway.patch_user(user.id, self.NAME("Nope"), if_match=None)

    def test_an_unknown_user_is_not_there(self, gateway):
        with pytest.raises(NotThere):
            gateway.patch_user(
                "00000000-0000-4000-8000-0000000000ff", self.NAME("x"), if_match=None
            )

    def test_a_deleted_user_is_not_there(self, stand_in, gateway):
        user = by_name(gateway)["anna.kowalska"]
        stand_in.store.edit_user("anna.kowalska", by="admin", deleted=True)
        with pytest.raises(NotThere):
            gateway.user(user.id)

    @pytest.mark.parametrize(("version", "enforced"), [("1.9.11", False), ("2.0.6", True)])
    def test_if_match_is_probed_without_a_change(self, connect, version, enforced):
        with StandIn(seed=seeding.seed_demo, version=version) as server:
            gateway = connect(server)
            user = by_name(gateway)["anna.kowalska"]
            assert gateway.enforces_if_match(user.id) is enforced
            assert gateway.user(user.id) == user

    @pytest.mark.parametrize(("version", "believed"), [("1.9.11", False), ("2.0.6", True)])
    def test_a_server_that_refuses_an_empty_patch_is_believed_by_its_version(
        self, connect, version, believed
    ):
        with StandIn(seed=seeding.seed_demo, version=version) as server:
            gateway = connect(server)
            user = by_name(gateway)["anna.kowalska"]
            server.faults.add(method="PATCH", status=400, times=1)
            assert gateway.enforces_if_match(user.id) is believed


class TestFailures:
    def test_a_read_is_tried_again(self, stand_in, gateway):
        stand_in.faults.add(path="loggedInUser", status=503, times=2)
        assert gateway.probe().principal == "portal-admin"

    def test_a_read_gives_up_after_four_tries(self, stand_in, gateway):
        stand_in.faults.add(path="loggedInUser", status=503)
        with pytest.raises(UpstreamUnavailable):
            gateway.probe()
        assert [p for _, p in stand_in.requests].count("/api/v1/users/loggedInUser") == 4

    @pytest.mark.parametrize(
        ("fault", "raised"),
        [
            ({"status": 429, "headers": {"Retry-After": "7"}}, Throttled),
            ({"status": 503}, UpstreamUnavailable),
            ({"status": 500}, UpstreamError),
            ({"status": 504}, OutcomeUnknown),
            ({"html": True}, OutcomeUnknown),
            ({"drop": "before"}, OutcomeUnknown),
            ({"drop": "after"}, OutcomeUnknown),
        ],
    )
    def test_a_write_is_sent_once_and_its_fate_is_named(self, stand_in, gateway, fault, raised):
        user = by_name(gateway)["anna.kowalska"]
        stand_in.faults.add(method="PATCH", **fault)
        with pytest.raises(raised):
            gateway.patch_user(user.id, TestPatch.NAME("x"), if_match=user.version)
        assert [m for m, _ in stand_in.requests].count("PATCH") == 1

    def test_a_slow_write_is_of_unknown_outcome(self, stand_in, gateway, connect):
        user = by_name(gateway)["anna.kowalska"]
        stand_in.faults.add(method="PATCH", latency=600)
        with pytest.raises(OutcomeUnknown, match=r"within 0\.2 s"):
            connect(stand_in, timeout=0.2).patch_user(user.id, TestPatch.NAME("x"), if_match=None)

    def test_a_slow_read_ends_at_its_deadline(self, stand_in, connect):
        stand_in.faults.add(path="loggedInUser", latency=600)
        with pytest.raises(UpstreamTimeout):
            connect(stand_in, timeout=0.1).probe()

    def test_a_server_that_is_down_was_not_written_to(self, stand_in, gateway):
        user = by_name(gateway)["anna.kowalska"]
        stand_in.close()
        gateway.close()
        with (
            OpenMetadataGateway(stand_in.url, "x", sleep=lambda _s: None) as fresh,
            pytest.raises(UpstreamUnavailable, match="cannot be reached"),
        ):
            fresh.patch_user(user.id, TestPatch.NAME("x"), if_match=None)

    def test_every_case_of_the_contracts_matrix_is_an_error_of_ours(self, stand_in, connect):
        """No status, proxy page or odd body comes back as data, neither read nor write."""
        bodies = sample("sample-errors.json")
        user_id = next(iter(stand_in.store.users))
        for case in sample("error-matrix.json")["cases"]:
            gateway = connect(stand_in)
            stand_in.faults.clear()
            stand_in.faults.add(path=r"/users", **_fault(case, bodies))
            for call in (
                lambda: list(gateway.users()),  # noqa: B023 - called in this turn
                lambda: gateway.user(user_id),  # noqa: B023
                lambda: gateway.patch_user(user_id, [], if_match=None),  # noqa: B023
            ):
                with pytest.raises((UpstreamError, NotThere, Moved)) as caught:
                    call()
                assert str(caught.value).endswith("."), case

    def test_no_message_holds_the_token(self, stand_in):
        token = stand_in.token("admin", -5)
        with (
            OpenMetadataGateway(stand_in.url, token) as gateway,
            pytest.raises(TokenRefused) as caught,
        ):
            gateway.probe()
        assert token not in str(caught.value)
        assert caught.value.expired_at is not None
        assert caught.value.expired_at < datetime.now(UTC)


def _fault(case: str, bodies: dict) -> dict:
    if case.startswith("connection dropped"):
        return {"drop": "before"}
    status = int(case[:3])
    fault: dict = {"status": status}
    if "html" in case.lower():
        fault |= {"body": bodies["html"].encode(), "content_type": "text/html"}
    elif "JSON body without" in case:
        fault |= {"body": json.dumps(bodies["no_code"]).encode()}
    elif "text" in case:
        fault |= {"body": b"no code here", "content_type": "text/plain"}
    elif "empty" in case:
        fault |= {"body": b""}
    elif status == 302:
        fault |= {"body": b"", "headers": {"Location": "/elsewhere"}}
    return fault
