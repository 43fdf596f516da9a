"""Channels: the portal's own, which admins keep, and each person's own.

The address is a secret as a whole (most services carry their token in it): sealed, never shown.
"""

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from backend.accounts import step_up
from backend.connections import guard, resolve
from backend.core import access, audit, choices, events, secret_store, windows
from backend.core.access import Actor, Permission
from backend.core.crypto import Vault
from backend.core.database import Database, ReadSession, WriteSession, database_now
from backend.core.errors import Conflict, InvalidInput
from backend.core.views import of_row
from backend.integrations.apprise import client as apprise
from backend.integrations.webhook import client as webhook
from backend.models.accounts import Account
from backend.models.notifications import NotificationChannel as Channel
from backend.notifications import messages, owners, repository
from backend.notifications.messages import Message
from backend.notifications.owners import Owner
from backend.notifications.schemas import ChannelView, Digest, KindView, NewChannel

MAX_ADDRESS = 2_000
MAX_CHANNELS = 50
_WEBHOOK = "webhook"
_DIGESTS = ("hourly", "daily")


@dataclass(frozen=True)
class Target:
    """A channel ready to be sent to. hosts: of the address. public: it may reach nothing private.
    key: signs a webhook."""

    name: str
    service: str
    address: str
    hosts: tuple[str, ...]
    public: bool
    key: str

    def send(self, told: Message, *, message_id: str) -> None:
        """Raises UpstreamError, InvalidInput when the address leads where none may."""
        with guard.outbound(f"The channel {self.name}", self.hosts, public=self.public):
            if self.service == _WEBHOOK:
                webhook.send(
                    self.address, key=self.key, message_id=message_id, document=told.document
                )
            else:
                apprise.send(self.address, title=told.title, text=told.text, severity=told.severity)


def kinds(_session: ReadSession, actor: Actor) -> tuple[KindView, ...]:
    """The kinds of events that this role may be told of."""
    access.require(actor, Permission.NOTIFICATIONS_READ)
    return tuple(
        KindView.model_validate(each)
        for each in sorted(events.kinds().values(), key=lambda each: each.name)
        if actor.may(each.permission)
    )


def list_channels(
    session: ReadSession, actor: Actor, *, personal: bool = False, account: str = ""
) -> tuple[ChannelView, ...]:
    """The portal's own channels, or a person's (`owners.find`)."""
    owner = owners.find(session, actor, personal=personal, account=account)
    rows = repository.channels(session, owner.id)
    return _views(session, [each for each in rows if access.in_reach(each.environment_id or 0)])


def add(
    session: WriteSession,
    actor: Actor,
    *,
    name: str,
    address: str,
    personal: bool = False,
    account: str = "",
    environment: str = "",
    kinds: Sequence[str] = (),
    quiet: str = "",
    digest: Digest = "",
) -> NewChannel:
    """Make a channel. address: http(s)://, json(s):// for a signed webhook, or any that Apprise
    knows. personal, account: whose it is (`owners.find`). kinds: of events, none for all that
    concern it. quiet: a window, UTC, in which only errors are sent. digest: "hourly" or "daily"
    gathers what is not urgent.

    Raises InvalidInput, Conflict for a name that is taken, EnvironmentNotFound,
    NotFresh (`accounts.step_up`).
    """
    owner = owners.find(session, actor, personal=personal, account=account, write=True)
    step_up.require(session, actor)
    where = _within(session, environment)
    name, kinds = _checked_name(name), _checked_kinds(owner, kinds)
    quiet, digest = _checked_times(quiet, digest)
    target = _target(name, address.strip(), key=_new_key(), public=owner.is_public)
    guard.check_outbound_literal(f"The channel {name}", target.hosts, public=target.public)
    _check_room(session, owner.id, name)
    row = Channel(
        owner_id=owner.id,
        name=name,
        environment_id=where,
        kinds=list(kinds),
        service=target.service,
        shown=_shown(target),
        ciphertext=_sealed(secret_store.get_vault(), owner.id, name, target),
        quiet=quiet,
        digest=digest,
        created_at=database_now(session),
        created_by=actor.name[:255],
        since_event=repository.newest_event(session),
        enabled=True,
    )
    session.add(row)
    session.flush()
    _record(session, actor, row, "added")
    (view,) = _views(session, [row])
    key = target.key if target.service == _WEBHOOK else ""
    return NewChannel(**view.model_dump(), signing_key=key)


def _checked_times(quiet: str, digest: Digest) -> tuple[str, Digest]:
    if digest:
        choices.check("digest", digest, _DIGESTS)
    try:
        return windows.checked(quiet), digest
    except ValueError as exc:
        raise InvalidInput(f"quiet: {exc}.") from exc


def _check_room(session: WriteSession, owner_id: int, name: str) -> None:
    existing = repository.channels(session, owner_id)
    if any(row.name == name for row in existing):
        raise Conflict(f"There is a channel {name!r} already: remove it, or take another name.")
    if len(existing) >= MAX_CHANNELS:
        raise InvalidInput(f"At most {MAX_CHANNELS} channels: remove one first.")


def set_enabled(
    session: WriteSession,
    actor: Actor,
    *,
    name: str,
    enabled: bool,
    personal: bool = False,
    account: str = "",
) -> ChannelView:
    """Stop a channel for a while, or let it go on; what happens meanwhile is not sent later."""
    owner = owners.find(session, actor, personal=personal, account=account, write=True)
    row = _channel(session, owner, name)
    if enabled and not row.enabled:
        row.since_event = repository.newest_event(session)
    row.enabled = enabled
    _record(session, actor, row, "enabled" if enabled else "disabled")
    session.flush()
    (view,) = _views(session, [row])
    return view


def remove(
    session: WriteSession, actor: Actor, *, name: str, personal: bool = False, account: str = ""
) -> None:
    """Remove a channel with what waits for it. Raises NotFound."""
    owner = owners.find(session, actor, personal=personal, account=account, write=True)
    row = _channel(session, owner, name)
    _record(session, actor, row, "removed")
    session.delete(row)
    session.flush()


def send_test(
    database: Database, actor: Actor, *, name: str, personal: bool = False, account: str = ""
) -> None:
    """Send a test message now. Raises NotFound, UpstreamError with the reason."""
    with database.write() as session:
        owner = owners.find(session, actor, personal=personal, account=account, write=True)
        row = _channel(session, owner, name)
        target = opened(session, row)
        _record(session, actor, row, "tested")
    target.send(messages.example(), message_id=f"test-{secrets.token_hex(8)}")


def _channel(session: WriteSession, owner: Owner, name: str) -> Channel:
    """The row. Raises NotFound, NotPermitted out of a limited token's reach."""
    row = repository.channel(session, owner.id, name)
    _require_reach(session, row.environment_id)
    return row


def _within(session: ReadSession, environment: str) -> int | None:
    """The number of what a channel is told of; None for all. Raises as `_require_reach`."""
    where = resolve.environment(session, environment).id if environment else None
    _require_reach(session, where)
    return where


def _require_reach(session: ReadSession, environment_id: int | None) -> None:
    # it is told of all environments, by whoever gives its address
    if environment_id is None:
        access.require_everywhere("A channel without an environment")
    else:
        resolve.require_reach(session, environment_id)


def opened(session: ReadSession, row: Channel) -> Target:
    """The channel with its address, to be sent to at once and never shown."""
    text = secret_store.get_vault().decrypt(
        row.ciphertext, binding=_binding(row.owner_id, row.name)
    )
    kept = json.loads(text)
    public = False
    if row.owner_id:
        account = session.get(Account, row.owner_id)
        public = account is None or Owner(account.id, owners.permissions_of(account)).is_public
    return _target(row.name, kept["address"], key=kept["key"], public=public)


def rotate(session: WriteSession, vault: Vault) -> int:
    """Put every address under the vault's first key; how many."""
    rows = repository.channels(session)
    for row in rows:
        row.ciphertext = vault.rotate(row.ciphertext, binding=_binding(row.owner_id, row.name))
    return len(rows)


def _target(name: str, address: str, *, key: str, public: bool) -> Target:
    """Raises InvalidInput."""
    if not address or len(address) > MAX_ADDRESS or not address.isprintable() or " " in address:
        raise InvalidInput(
            f"The address is one line of at most {MAX_ADDRESS:,} characters without blanks, like "
            "https://receiver.example/hook or slack://…"
        )
    scheme, _, rest = address.partition("://")
    scheme = scheme.lower()
    if scheme in ("json", "jsons"):
        scheme = "https" if scheme == "jsons" else "http"
        address = f"{scheme}://{rest}"
    if scheme in ("http", "https") and not apprise.is_native(address):
        host = _host(address)
        return Target(name, _WEBHOOK, address, (host,), public, key)
    found = apprise.service(address)
    return Target(name, found.name, address, found.hosts, public, "")


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise InvalidInput(f"The address is not a web address: {exc}.") from exc
    if not host:
        raise InvalidInput("The address names no host, like https://receiver.example/hook.")
    if parts.username or parts.password:
        raise InvalidInput(
            "A webhook's address takes no user and password: the receiver knows the portal by the "
            "signature."
        )
    return host


def _shown(target: Target) -> str:
    if target.service != _WEBHOOK:
        return f"{target.service}://{target.hosts[0] if target.hosts else '…'}"
    parts = urlsplit(target.address)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{target.hosts[0]}{port}/…"[:200]


def _sealed(vault: Vault, owner_id: int, name: str, target: Target) -> str:
    text = json.dumps({"address": target.address, "key": target.key})
    return vault.encrypt(text, binding=_binding(owner_id, name))


def _binding(owner_id: int, name: str) -> str:
    return f"notification channel {owner_id} {name}"


def _new_key() -> str:
    return webhook.PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > 80 or not name.isprintable():
        raise InvalidInput("A channel has a name of 1 to 80 letters.")
    return name


def _checked_kinds(owner: Owner, names: Sequence[str]) -> tuple[str, ...]:
    known = events.kinds()
    for name in names:
        choices.check("kind of event", name, sorted(known))
        if owner.id and known[name].permission not in owner.permissions:
            raise InvalidInput(f"The role of whom it would tell is not told of {name}.")
    return tuple(dict.fromkeys(names))


def _views(session: ReadSession, rows: Sequence[Channel]) -> tuple[ChannelView, ...]:
    names, waiting = resolve.names(session), repository.waiting(session)
    return tuple(
        of_row(
            ChannelView,
            row,
            personal=row.owner_id != 0,
            environment=names.get(row.environment_id, "") if row.environment_id else "",
            kinds=tuple(row.kinds),
            waiting=waiting.get(row.id, (0, ""))[0],
            problem=waiting.get(row.id, (0, ""))[1],
        )
        for row in rows
    )


def _record(session: WriteSession, actor: Actor, row: Channel, verb: str) -> None:
    audit.record(
        session,
        actor,
        Permission.NOTIFICATIONS_WRITE.value,
        subject=f"channel {row.name}",
        outcome=verb,
        details={"service": row.service, "personal": row.owner_id != 0, "kinds": list(row.kinds)},
    )
