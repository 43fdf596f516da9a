"""Writes one user's change: re-read, refuse what moved, PATCH, compare the answer.

Shared by the apply job and the connector, so both follow the same rules. Never PUT: it clears
roles, teams, personas and the admin flag.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from backend.core.errors import (
    OutcomeUnknown,
    PortalError,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations.openmetadata.errors import (
    AccountGone,
    Denied,
    EmailsMasked,
    Moved,
    NotThere,
    Throttled,
    TokenRefused,
)
from backend.integrations.openmetadata.gateway import OpenMetadataGateway
from backend.integrations.openmetadata.schemas import StoredUser
from backend.user_sync.addresses import address_key
from backend.user_sync.fields import ATTRIBUTES, DISPLAY_NAME, DOMAINS, Changes, labels
from backend.user_sync.schemas import ItemState

TRIES = 5


@dataclass(frozen=True)
class Change:
    """What one write is to do, and what the user looked like when it was planned.

    changes: attribute → (old, new) of what is written. email guards against a user id that has
    become somebody else.
    """

    user_id: str
    email: str
    changes: Changes
    version: float | None
    updated_at: int | None


@dataclass(frozen=True)
class Outcome:
    """How one write ended.

    away: OpenMetadata was not there for it. stops: the rest would fail the same way (a refused
    token), the run ends here. Both leave the item as it was: pending, or still to be settled.
    """

    state: ItemState
    reason: str = ""
    stored: tuple[str, ...] = field(default=())
    version_after: float | None = None
    updated_after: int | None = None
    away: bool = False
    stops: bool = False


class Writer:
    """Writes changes through one gateway; thread-safe.

    is_bot and principal (from the gateway's probe) name the cause when the server silently keeps
    an old value.
    """

    def __init__(
        self, gateway: OpenMetadataGateway, *, principal: str = "", is_bot: bool = False
    ) -> None:
        self._gateway = gateway
        self._principal = principal
        self._is_bot = is_bot

    def write(self, change: Change) -> Outcome:
        """Make the change, or say why not. Raises nothing but bugs."""
        return self._attempt(change, sent=False)

    def settle(self, change: Change) -> Outcome:
        """Find out what became of a write that may have been sent, and go on from there."""
        return self._attempt(change, sent=True)

    def _attempt(self, change: Change, *, sent: bool) -> Outcome:
        try:
            return self._write(change, sent=sent)
        except PortalError as exc:
            return _not_sent(exc, sent=sent)

    def _write(self, change: Change, *, sent: bool) -> Outcome:
        for attempt in range(1, TRIES + 1):
            now = self._gateway.user(change.user_id)
            if wanted_is_there(change, now):
                reason = "found stored after an interruption" if sent else "was so already"
                return _applied(change, now, reason, stored=sent)
            moved = what_moved(change, now) or self._lost_domains(change)
            if moved:
                return Outcome("conflict", moved)
            try:
                return self._patch(change, now, guarded=self._guards(change))
            except Moved:
                continue
            except Throttled as exc:
                # A limit of requests refuses before it acts: slower is all it asks for.
                if attempt == TRIES:
                    raise
                self._gateway.back_off(attempt, exc)
        return Outcome(
            "conflict", f"the user was changed by somebody else {TRIES} times while being written"
        )

    def _lost_domains(self, change: Change) -> str:
        """Which domains to be written were deleted since the plan; "" when none."""
        _, wanted = change.changes.get(DOMAINS.name, ((), ()))
        lost = tuple(ref for ref in wanted if not self._gateway.has_domain(ref.id))
        return f"the domain {DOMAINS.shown(lost)} was deleted since the plan" if lost else ""

    def _patch(self, change: Change, now: StoredUser, *, guarded: bool) -> Outcome:
        """Send it and see what became of it. Raises only what proves that nothing was stored:
        Moved, Throttled, TokenRefused."""
        try:
            answer = self._gateway.patch_user(
                change.user_id, operations(change), if_match=now.version if guarded else None
            )
        except (Moved, Throttled, TokenRefused):
            raise
        except Denied as exc:
            return Outcome("failed", exc.message)
        except NotThere as exc:
            return Outcome("failed", f"{exc.message} The user or the domain was deleted meanwhile.")
        except UpstreamUnavailable as exc:
            # Mostly nothing arrived, but some proxies say 503 of a connection cut in the middle.
            return Outcome("sending", exc.message, away=True)
        except PortalError as exc:
            return self._read_outcome(change, exc)
        # Servers before 2.0 may echo what they did not store; and an answer may leave out what it
        # was not asked for: only a read tells.
        if not (
            self._gateway.version().stores_domains_with_if_match and wanted_is_there(change, answer)
        ):
            seen = self._read_back(change)
            if isinstance(seen, Outcome):
                return seen
            answer = seen
        return self._compared(change, answer, "")

    def _read_back(self, change: Change) -> StoredUser | Outcome:
        """The user after a PATCH was sent; unreadable now, it is looked at again later."""
        try:
            return self._gateway.user(change.user_id)
        except TokenRefused as exc:
            return Outcome("sending", exc.message, stops=True)
        except (UpstreamUnavailable, UpstreamTimeout, Throttled) as exc:
            return Outcome("sending", exc.message, away=True)
        except PortalError as exc:
            return Outcome("unknown", f"It was sent, but could not be read back: {_cause(exc)}")

    def _guards(self, change: Change) -> bool:
        if DOMAINS.name in change.changes and not (
            self._gateway.version().stores_domains_with_if_match
        ):
            return False
        return self._gateway.enforces_if_match(change.user_id)

    def _read_outcome(self, change: Change, exc: PortalError) -> Outcome:
        """No answer came, or none to be trusted. A write that is not there yet may still arrive."""
        lost = isinstance(exc, OutcomeUnknown)
        seen = self._read_back(change)
        if isinstance(seen, Outcome):
            return replace(seen, state="unknown", reason=exc.message) if lost else seen
        if any(_has(change, name, seen) for name in change.changes):
            what = "the answer was lost" if lost else "the answer was an error"
            return self._compared(change, seen, f"{what}, but the change is stored")
        if lost:
            reason = f"{exc.message} Read back, the old values were still there."
            return Outcome("unknown", reason, away=True)
        return Outcome("failed", exc.message)

    def _compared(self, change: Change, answer: StoredUser, reason: str) -> Outcome:
        stored = tuple(name for name in change.changes if _has(change, name, answer))
        kept = [name for name in change.changes if name not in stored]
        if not kept:
            return _applied(change, answer, reason)
        return Outcome(
            "failed",
            self._why_kept(kept),
            stored=stored,
            version_after=answer.version,
            updated_after=answer.updated_at,
        )

    def _why_kept(self, kept: list[str]) -> str:
        said = f"OpenMetadata accepted the change but kept the old {labels(kept)}"
        if self._is_bot and DISPLAY_NAME.name in kept:
            return (
                f"{said}: {self._principal or 'this account'} is a bot, and policy "
                "DefaultBotPolicy denies EditDisplayName. Use a technical admin account."
            )
        return f"{said}: a policy or the server's version does not let this account change it."


def _not_sent(exc: PortalError, *, sent: bool) -> Outcome:
    """Why an attempt ended before its PATCH left. sent: an earlier attempt's may have."""
    waiting: ItemState = "sending" if sent else "pending"
    match exc:
        case TokenRefused() | AccountGone() | EmailsMasked():
            return Outcome(waiting, exc.message, stops=True)
        case OutcomeUnknown():  # of the empty patch that asks whether If-Match is honoured
            return Outcome(waiting, _cause(exc), away=True)
        case UpstreamUnavailable() | UpstreamTimeout() | Throttled():
            return Outcome(waiting, exc.message, away=True)
        case NotThere():
            return Outcome("conflict", f"the user is gone: {exc.message}")
    return Outcome("unknown" if sent else "failed", exc.message)


def _cause(exc: PortalError) -> str:
    """What happened, without the advice."""
    return f"{exc.system}: {exc.cause}." if isinstance(exc, UpstreamError) else exc.message


def operations(change: Change) -> list[dict[str, Any]]:
    """JSON Patch of whole values."""
    return [ATTRIBUTES[name].operation(new) for name, (_, new) in change.changes.items()]


def wanted_is_there(change: Change, now: StoredUser) -> bool:
    return all(_has(change, name, now) for name in change.changes)


def what_moved(change: Change, now: StoredUser) -> str:
    """Which of the fields to be written is no longer as planned, by whom; "" when none."""
    if change.email and address_key(now.email) != address_key(change.email):
        return f"the user's e-mail is now {now.email}; it was {change.email}"
    moved = []
    untouched = change.updated_at is not None and (now.version, now.updated_at) == (
        change.version,
        change.updated_at,
    )
    for name, (old, _) in change.changes.items():
        attribute = ATTRIBUTES[name]
        held = attribute.stored(now)
        if attribute.same(held, old):
            continue
        was, there = attribute.shown(old), attribute.shown(held)
        if name == DOMAINS.name and untouched:
            return (
                f"the server's list showed the domains {was}, but asked for the user alone it "
                f"shows {there}, and nobody changed the user: one of them comes from a team. "
                "Give the domain to the user or take it from the team"
            )
        is_now, it_was = ("are", "they were") if name == DOMAINS.name else ("is", "it was")
        moved.append(f"the {labels([name])} {is_now} now {there}, {it_was} {was}")
    if not moved:
        return ""
    who = f"; changed by {now.updated_by}" if now.updated_by else ""
    return " and ".join(moved) + who + _when(now.updated_at)


def _has(change: Change, name: str, now: StoredUser) -> bool:
    attribute = ATTRIBUTES[name]
    return attribute.same(attribute.stored(now), change.changes[name][1])


def _applied(change: Change, now: StoredUser, reason: str, *, stored: bool = True) -> Outcome:
    return Outcome(
        "applied",
        reason,
        stored=tuple(change.changes) if stored else (),
        version_after=now.version,
        updated_after=now.updated_at,
    )


def _when(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    try:
        when = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return ""
    return f" on {when:%Y-%m-%d at %H:%M} UTC"
