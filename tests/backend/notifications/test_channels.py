"""Channels: what an address may be, who may have one, and that it is never shown."""

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from sqlalchemy import select

from backend.core import secret_rotation, secret_store
from backend.core.access import SYSTEM
from backend.core.audit import AuditEvent
from backend.core.errors import Conflict, InvalidInput, NotFound, NotPermitted, UpstreamError
from backend.models import NotificationChannel
from backend.notifications import channels
from tests.backend.changes.conftest import World
from tests.backend.notifications.conftest import Receiver, add

SLACK = "slack://TokenA12345/TokenB12345/tokencCCCCCCCCCCCCCCCC12345"


def test_a_webhook_is_signed_so_that_the_receiver_can_prove_it(
    world: World, receiver: Receiver
) -> None:
    made = add(world.database, receiver.url)
    channels.send_test(world.database, SYSTEM, name="ops")
    ((headers, body),) = receiver.requests
    secret = base64.b64decode(made.signing_key.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"
    assert json.loads(body)["type"] == "notifications.test"


#: What a service would read as JSON and send: any such file of this machine.
FILE = "/etc/aws-credentials.json"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://169.254.169.254/latest", "cloud metadata"),
        ("http://metadata.google.internal/", "cloud metadata"),
        ("http://2852039166/", "cloud metadata"),
        ("json://169.254.169.254/x", "cloud metadata"),
        ("mailto://u:p@example.org?smtp=169.254.169.254", "cloud metadata"),
        ("http://user:pass@example.org/", "no user and password"),
        ("https:///nohost", "names no host"),
        ("http://[::1", "not a web address"),
        ("https://example.org/with blank", "without blanks"),
        ("", "one line"),
        ("nonsense://x", "no notification service"),
        ("syslog://", "not sent to by HTTP or e-mail"),
        ("rsyslog://example.org", "not sent to by HTTP or e-mail"),
        ("ntfys://example.org/topic?verify=no", "option verify"),
        ("ntfys://example.org/topic?optional=yes", "option optional"),
        ("fcm://project@key/#topic?keyfile=/etc/passwd", "option keyfile"),
        ("mailto://u:p@example.org?pgpkey=/etc/passwd", "option pgpkey"),
        (f"discord://123456789012345678/{'a' * 64}?template={FILE}", "read a file"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?Template=file://" + FILE, "read a"),
        (
            "tgram://123456789:abcdefg_hijklmnop/123/?template=http://169.254.169.254/",
            "read a file",
        ),
        ("workflows://example.org/workflow/signature?temp%6Cate=" + FILE, "read a file"),
    ],
)
def test_an_address_that_is_not_taken_says_why(world: World, address: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        add(world.database, address)


def test_a_redirect_to_another_place_is_a_failure(world: World, receiver: Receiver) -> None:
    add(world.database, receiver.url)
    receiver.answer, receiver.location = 307, "http://169.254.169.254/latest"
    with pytest.raises(UpstreamError, match="answered 307"):
        channels.send_test(world.database, SYSTEM, name="ops")
    assert len(receiver.requests) == 1


def test_the_address_is_sealed_and_shown_to_nobody(world: World, receiver: Receiver) -> None:
    add(world.database, SLACK, name="chat")
    add(world.database, f"{receiver.url}/path-is-secret", name="ops")
    with world.database.read() as session:
        rows = list(session.scalars(select(NotificationChannel)))
        shown = channels.list_channels(session, SYSTEM)
        audit = [str(row.details) for row in session.scalars(select(AuditEvent))]
    text = " ".join([*(row.ciphertext + row.shown for row in rows), str(shown), *audit])
    assert "TokenA12345" not in text
    assert "path-is-secret" not in text
    assert next(each.shown for each in shown) == "slack://…"


def test_a_channel_survives_the_rotation_of_the_keys(
    world: World, receiver: Receiver, tmp_path: Path
) -> None:
    add(world.database, receiver.url)
    with world.database.write() as session:
        counts = secret_rotation.rotate(session, SYSTEM, vault=secret_store.get_vault())
    assert counts["notification_channels"] == 1
    channels.send_test(world.database, SYSTEM, name="ops")
    assert len(receiver.requests) == 1


def test_channels_of_the_portal_are_for_admins(world: World) -> None:
    with world.database.write() as session, pytest.raises(NotPermitted):
        channels.add(session, world.people["ann"], name="x", address=SLACK)
    with pytest.raises(NotPermitted):
        channels.send_test(world.database, world.people["ann"], name="x")


def test_a_person_s_own_channel_reaches_nothing_private_unless_an_admin_has_it(
    world: World, receiver: Receiver
) -> None:
    with world.database.write() as session, pytest.raises(InvalidInput, match="private address"):
        channels.add(session, world.people["ann"], name="me", address=receiver.url, personal=True)
    with world.database.write() as session:
        channels.add(session, world.people["cat"], name="me", address=receiver.url, personal=True)
    channels.send_test(world.database, world.people["cat"], name="me", personal=True)
    assert len(receiver.requests) == 1


def test_a_name_that_resolves_to_a_private_address_is_refused_when_it_is_used(
    world: World,
) -> None:
    with world.database.write() as session:
        channels.add(
            session,
            world.people["ann"],
            name="me",
            address="http://localhost:9/hook",
            personal=True,
        )
    with pytest.raises(InvalidInput, match="private address"):
        channels.send_test(world.database, world.people["ann"], name="me", personal=True)


def test_people_do_not_see_each_other_s_channels(world: World) -> None:
    with world.database.write() as session:
        channels.add(session, world.people["ann"], name="me", address=SLACK, personal=True)
    with world.database.read() as session:
        assert not channels.list_channels(session, world.people["bob"], personal=True)
        assert not channels.list_channels(session, SYSTEM)
    with pytest.raises(NotFound):
        channels.send_test(world.database, world.people["bob"], name="me", personal=True)


def test_a_name_is_taken_once_and_removal_frees_it(world: World) -> None:
    add(world.database, SLACK)
    with pytest.raises(Conflict, match="remove it"):
        add(world.database, SLACK)
    with world.database.write() as session:
        channels.remove(session, SYSTEM, name="ops")
    add(world.database, SLACK)


def test_what_is_not_known_is_refused_by_name(world: World) -> None:
    with pytest.raises(InvalidInput, match="'made' is no kind of event"):
        add(world.database, SLACK, kinds=["made"])
    with pytest.raises(InvalidInput, match="no time window"):
        add(world.database, SLACK, quiet="at night")
    with world.database.write() as session, pytest.raises(InvalidInput, match="is not told of"):
        channels.add(
            session,
            world.people["ann"],
            name="me",
            address=SLACK,
            personal=True,
            kinds=["accounts.token_ends"],
        )


def test_a_dead_receiver_is_named_with_its_reason(world: World, receiver: Receiver) -> None:
    add(world.database, receiver.url)
    receiver.answer = 500
    with pytest.raises(UpstreamError, match="Webhook: it answered 500"):
        channels.send_test(world.database, SYSTEM, name="ops")
