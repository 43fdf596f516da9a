"""The portal's view of OpenMetadata: users, domains, who-am-I, and one careful PATCH."""

import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

from backend.core.errors import (
    InvalidInput,
    OutcomeUnknown,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.core.views import of_row
from backend.integrations.http import bare_token
from backend.integrations.openmetadata import tokens, wire
from backend.integrations.openmetadata.errors import (
    SYSTEM,
    AccountGone,
    Denied,
    EmailsMasked,
    LostDomain,
    Moved,
    NotThere,
    TokenRefused,
    TooOld,
    WrongAddress,
)
from backend.integrations.openmetadata.schemas import (
    Domain,
    Preflight,
    Probe,
    ServerVersion,
    StoredUser,
    UserPage,
    is_masked,
)
from backend.integrations.openmetadata.transport import Transport

PAGE_SIZE = 1000
#: A page is halved after a timeout down to this, the official client's own being 100.
LEAST_PAGE = 25
_PROBED = 100
_LOST_DOMAIN = re.compile(r"domain instance for (?P<domain>\S+) not found")
_Page = TypeVar("_Page")


class OpenMetadataGateway:
    """The package's docstring says what all methods promise."""

    def __init__(
        self,
        host_port: str,
        token: str,
        *,
        timeout: float = 30.0,
        max_connections: int = 16,
        sleep: Callable[[float], None] | None = None,
        headers: Mapping[str, str] | None = None,
        verify: bool | ssl.SSLContext = True,
        texts: Sequence[str] = (),
    ) -> None:
        """texts: attributes of users to be read beside name, e-mail and domains."""
        self._texts = texts
        self.host_port = checked_address(host_port)
        token = bare_token(token)
        self._expires = tokens.expiry(token)
        self._transport = Transport(
            self.host_port,
            token,
            timeout=timeout,
            max_connections=max_connections,
            token_expires_at=self._expires,
            sleep=sleep,
            headers=headers,
            verify=verify,
        )
        self._lock = threading.Lock()
        self._version: ServerVersion | None = None
        self._enforces: bool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def probe(self) -> Probe:
        """Prove address, version, token and what the caller may see, by reading alone.

        Raises WrongAddress, TooOld, TokenRefused, AccountGone, EmailsMasked, Denied and the
        upstream errors.
        """
        self.supported_version()
        return self._probe(self._who_am_i())

    def _probe(self, me: Mapping[str, Any]) -> Probe:
        version = self.supported_version()
        is_bot, is_admin = bool(me.get("isBot")), bool(me.get("isAdmin"))
        principal = str(me.get("name") or "")
        started = time.monotonic()
        page = next(self._pages(_PROBED, principal))
        return Probe(
            version=version.text,
            principal=principal,
            email=str(me.get("email") or ""),
            is_bot=is_bot,
            is_admin=is_admin,
            token_expires_at=self._expires,
            warnings=tuple(
                self._warnings(version, is_bot=is_bot, is_admin=is_admin, known=bool(me))
            ),
            may_rename=False if is_bot else True if is_admin else None,
            users=page.total,
            page_users=len(page.users),
            page_ms=(time.monotonic() - started) * 1000,
        )

    def preflight(self) -> Preflight:
        """Everything that decides how a sync would go at this server. Raises as `probe` does,
        except that masked e-mails are told and not raised. Nothing is changed: an empty patch of
        the caller's own user, with a version nobody has, tells whether If-Match is enforced."""
        self.supported_version()
        me = self._who_am_i()
        sees = True
        try:
            found = self._probe(me)
        except EmailsMasked as exc:
            version = self.supported_version().text
            found = Probe(
                version, str(me.get("name") or ""), "", False, False, None, (exc.message,)
            )
            sees = False
        guarded = None
        if me.get("id") and sees:
            try:
                guarded = self.enforces_if_match(str(me["id"]))
            except (Denied, NotThere):
                guarded = None
        return of_row(
            Preflight,
            found,
            server_version=found.version,
            sees_emails=sees,
            if_match=guarded,
            rules=self.version().rules,
            warnings=(*found.expiring, *found.warnings),
        )

    def _who_am_i(self) -> dict[str, Any]:
        """The caller's own user; {} where the server cannot say. Raises TokenRefused, AccountGone.

        Servers answer 400 when name and e-mail of the token disagree, and nothing that follows
        needs the answer: the token is proven by a read of users instead.
        """
        try:
            return self._document("users/loggedInUser")
        except TokenRefused:
            raise
        except (UpstreamUnavailable, UpstreamTimeout):
            raise
        except (NotThere, UpstreamError):
            try:
                self._transport.read("users", {"limit": "1"})
            except NotThere as gone:
                raise AccountGone(gone.said) from gone
            return {}

    def supported_version(self) -> ServerVersion:
        """The server's version. Raises TooOld before the first supported one."""
        version = self.version()
        if version.too_old:
            raise TooOld(version.text)
        return version

    def version(self) -> ServerVersion:
        """The server's version, asked once. The server answers without looking at the token."""
        if self._version is None:
            try:
                raw = self._document("system/version")
            except NotThere as exc:
                raise WrongAddress(f"{self.host_port} is not an OpenMetadata API") from exc
            found = wire.server_version(raw)
            if not found.text:
                # Something that answers every address with JSON would pass every other check.
                raise WrongAddress(f"{self.host_port} names no version, as OpenMetadata does")
            self._version = found
        return self._version

    def users(self, page_size: int = PAGE_SIZE) -> Iterator[UserPage]:
        """Every user that is not deleted, in pages; a page is halved when it takes too long.

        Raises UpstreamError when the pages end early or go round in circles: a part of the users
        is never returned as if it were all. Users that come or go while it is read are no reason:
        the list must hold as many as the first or the last page speaks of, the smaller number.
        Raises EmailsMasked when the server hides addresses from this caller.
        """
        unreadable, ids, totals = 0, set[str](), list[int]()
        for page in self._pages(page_size):
            unreadable += page.unreadable
            ids.update([user.id for user in page.users])  # somebody on two pages is one
            if page.total is not None:
                totals.append(page.total)
            yield page
        seen = len(ids) + unreadable
        if totals and seen < min(totals[0], totals[-1]):
            raise UpstreamError(
                SYSTEM, f"the list ended after {seen} of {totals[-1]} users", "Try again."
            )

    def _pages(self, size: int, principal: str = "") -> Iterator[UserPage]:
        read = wire.UserReader(self._texts).page
        try:
            for page in self._paged("users", size, {"fields": "domains"}, read):
                if any(is_masked(user.email) for user in page.users):
                    raise EmailsMasked(principal)
                yield page
        except NotThere as exc:
            lost = _LOST_DOMAIN.search(exc.said)
            if lost is None:
                raise
            raise LostDomain("its users", lost["domain"]) from exc
        except UpstreamError as exc:
            if "Invalid field name domains" in exc.cause:
                raise TooOld(self.version().text) from exc
            raise

    def domains(self) -> list[Domain]:
        """Every domain, sub-domains included."""
        return [
            domain
            for page in self._paged("domains", PAGE_SIZE, {}, wire.domain_page)
            for domain in page
        ]

    def user(self, user_id: str, fields: str = "domains") -> StoredUser:
        """One user as it is now. Raises NotThere when unknown or deleted."""
        user = wire.stored_user(self.raw_user(user_id, fields), self._texts)
        if user is None:
            raise UpstreamError(SYSTEM, "a user without id or name", "Check its version.")
        if user.deleted:
            raise NotThere(f"user {user.name} is deleted")
        if is_masked(user.email):
            raise EmailsMasked
        return user

    def has_domain(self, domain_id: str) -> bool:
        """Whether the domain is there now. A server may store a reference to one that is not, and
        then refuses every listing of users; so it is read before it is written."""
        try:
            self._document(f"domains/{quote(domain_id, safe='')}")
        except NotThere:
            return False
        return True

    def raw_user(self, user_id: str, fields: str) -> dict[str, Any]:
        """The whole JSON object; it may hold personal values, never log it."""
        path = f"users/{quote(user_id, safe='')}"
        return wire.document(self._transport.read(path, {"fields": fields}))

    def enforces_if_match(self, user_id: str) -> bool:
        """Whether the server honours If-Match: an empty patch with a version nobody has."""
        with self._lock:
            if self._enforces is None:
                try:
                    self._patch(user_id, [], 0.0)
                    self._enforces = False
                except Moved:
                    self._enforces = True
                except (TokenRefused, UpstreamUnavailable, UpstreamTimeout, OutcomeUnknown):
                    raise
                except UpstreamError:
                    # It refuses an empty patch: believe the version. Sent in vain, the header
                    # does no harm.
                    self._enforces = self.version().stores_domains_with_if_match
            return self._enforces

    def patch_user(
        self, user_id: str, operations: Sequence[dict[str, Any]], *, if_match: float | None
    ) -> StoredUser:
        """Send the operations once; the user as the server answers it.

        Raises Moved (somebody was faster; only with if_match), Denied, TokenRefused, NotThere,
        Throttled, OutcomeUnknown (sent, no answer), and the upstream errors.
        """
        user = wire.stored_user(
            wire.document(self._patch(user_id, operations, if_match)), self._texts
        )
        if user is None:
            raise UpstreamError(SYSTEM, "the answer to a change is no user", "Check its version.")
        return user

    def back_off(self, attempt: int, exc: UpstreamError) -> None:
        """Wait before the attempt after this one, as long as the server asked (10 s at most)."""
        self._transport.back_off(attempt, exc)

    def user_url(self, name: str) -> str:
        return user_url(self.host_port, name)

    def _patch(
        self, user_id: str, operations: Sequence[dict[str, Any]], if_match: float | None
    ) -> bytes:
        # Only the weak tag is ever equal; the strong ETag of a GET always gives 412.
        headers = {} if if_match is None else {"If-Match": f'W/"{float(if_match)!r}"'}
        return self._transport.write(
            "PATCH",
            f"users/{quote(user_id, safe='')}",
            list(operations),
            content_type="application/json-patch+json",
            headers=headers,
        )

    def _document(self, path: str) -> dict[str, Any]:
        return wire.document(self._transport.read(path))

    def _paged(
        self,
        path: str,
        page_size: int,
        params: dict[str, str],
        decode: Callable[[bytes], tuple[_Page, str | None]],
    ) -> Iterator[_Page]:
        query = {"limit": str(page_size), **params}
        cursors: set[str] = set()
        while True:
            try:
                body = self._transport.read(path, query, patient=page_size <= LEAST_PAGE)
            except UpstreamTimeout:
                if page_size <= LEAST_PAGE:
                    raise
                page_size = max(LEAST_PAGE, page_size // 2)
                query["limit"] = str(page_size)
                continue
            page, after = decode(body)
            yield page
            if not after:
                return
            if after in cursors:
                raise UpstreamError(SYSTEM, "its pages go round in circles", "Try again.")
            cursors.add(after)
            query["after"] = after

    def _warnings(
        self, version: ServerVersion, *, is_bot: bool, is_admin: bool, known: bool
    ) -> Iterator[str]:
        if is_bot:
            silent = "silently keeps the old name" if version.keeps_bot_names else "refuses it"
            yield (
                "This is a bot's token: bots may change domains, but not display names "
                f"(the server {silent}). Use the token of a technical admin account."
            )
        elif known and not is_admin:
            yield "This account is no admin: its role must allow EditAll on users."
        if version.parts and not version.stores_domains_with_if_match:
            yield (
                f"Version {version.text} cannot guard domain changes against a concurrent edit; "
                "each is read back instead."
            )


def checked_address(host_port: str) -> str:
    """The address without a trailing slash. Raises InvalidInput unless http(s)://…/api."""
    address = host_port.strip().rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(
            f"OpenMetadata's address must start with http:// or https://, not {host_port!r}."
        )
    if not parts.path.endswith("/api"):
        raise InvalidInput(f"OpenMetadata's address must end in /api: write {address}/api.")
    return address


def user_url(host_port: str, name: str) -> str:
    """The page of a user in OpenMetadata's own UI."""
    return f"{host_port.rstrip('/').removesuffix('/api')}/users/{quote(name, safe='')}"
