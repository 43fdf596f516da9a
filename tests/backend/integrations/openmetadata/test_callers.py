"""What a server answers depends on who asks, on its version and its size; each is named."""

import pytest

from backend.core.errors import UpstreamTimeout
from backend.integrations.openmetadata.errors import (
    AccountGone,
    EmailsMasked,
    LostDomain,
    TooOld,
)
from backend.integrations.openmetadata.gateway import OpenMetadataGateway
from backend.sandbox.openmetadata import StandIn, seeding


class TestMaskedEmails:
    def test_a_caller_who_is_neither_admin_nor_bot_is_named(self, stand_in, connect):
        with pytest.raises(EmailsMasked, match="the account brian_smith7 may not see e-mail"):
            connect(stand_in, "brian_smith7").probe()

    def test_a_listing_and_a_read_never_pass_masks_on(self, stand_in, connect):
        user_id = stand_in.store.user_named("dana.fox")["id"]
        gateway = connect(stand_in, "brian_smith7")
        with pytest.raises(EmailsMasked):
            list(gateway.users())
        with pytest.raises(EmailsMasked):
            gateway.user(user_id)

    @pytest.mark.parametrize(
        ("account", "renames"), [("portal-admin", True), ("ingestion-bot", False)]
    )
    def test_admins_and_bots_see_them(self, stand_in, connect, account, renames):
        found = connect(stand_in, account).preflight()
        assert (found.sees_emails, found.may_rename, found.if_match) == (True, renames, True)
        assert found.users == len(stand_in.store.users)

    def test_preflight_tells_masks_instead_of_raising(self, stand_in, connect):
        found = connect(stand_in, "brian_smith7").preflight()
        assert (found.sees_emails, found.principal) == (False, "brian_smith7")
        assert "may not see" in found.warnings[0]


class TestVersionGate:
    def test_a_server_that_is_too_old_is_named_with_what_is_needed(self, connect):
        with StandIn(seed=seeding.seed_demo, version="1.2.0") as server:
            with pytest.raises(TooOld, match=r"1\.2\.0, and 1\.9 or newer"):
                connect(server).probe()
            with pytest.raises(TooOld):
                list(connect(server).users())


class TestWhoAmI:
    def test_a_400_that_nothing_needs_stops_nothing(self, stand_in, connect):
        stand_in.faults.add(path="/loggedInUser", status=400, body=b'{"message": "disagree"}')
        assert connect(stand_in).probe().principal == ""

    def test_an_account_that_is_gone_has_its_own_sentence(self, stand_in, connect):
        gateway = connect(stand_in)
        stand_in.store.edit_user("portal-admin", by="admin", deleted=True)
        with pytest.raises(AccountGone, match="deleted or unknown"):
            gateway.probe()

    @pytest.mark.parametrize("around", ["Bearer {}", '"{}"', " bearer {} "])
    def test_a_pasted_token_is_understood(self, stand_in, around):
        token = around.format(stand_in.token("portal-admin"))
        with OpenMetadataGateway(stand_in.url, token) as gateway:
            assert gateway.probe().principal == "portal-admin"


class TestSlowServers:
    def test_a_page_is_halved_after_a_timeout(self, stand_in, connect):
        stand_in.faults.add(method="GET", path="/users$", latency=600, times=2)
        gateway = connect(stand_in)
        sizes, read = [], gateway._transport.read

        def asked(path, query=None, **more):
            sizes.append(query["limit"])  # only who never answers is left soon
            gateway._transport._client.timeout = 0.3 if len(sizes) < 3 else 60
            return read(path, query, **more)

        gateway._transport.read = asked
        found = sum(len(page.users) for page in gateway.users(400))
        assert (found, sizes[:3]) == (len(stand_in.store.users), ["400", "200", "100"])

    def test_the_smallest_page_is_given_up_on(self, stand_in, connect):
        stand_in.faults.add(method="GET", path="/users$", latency=600)
        with pytest.raises(UpstreamTimeout):
            list(connect(stand_in, timeout=0.1).users(25))


def test_a_listing_that_one_users_domain_breaks_names_it_and_the_way_out(stand_in, connect):
    lost = b'{"message": "domain instance for 4711-ff not found"}'
    stand_in.faults.add(path="/users$", status=404, body=lost)
    with pytest.raises(LostDomain, match="domain 4711-ff, which is deleted") as caught:
        list(connect(stand_in).users())
    assert "Restore that domain" in caught.value.advice


def test_a_quoted_user_never_gets_into_a_sentence(stand_in, connect):
    body = b'{"responseMessage": "Patch failed [ {\\"passwordHash\\": \\"sesame\\"} ]"}'
    stand_in.faults.add(path="/domains$", status=400, body=body)
    with pytest.raises(Exception, match="Patch failed") as caught:
        connect(stand_in).domains()
    assert "sesame" not in str(caught.value)
