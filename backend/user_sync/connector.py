"""`UserUpdaterSource`: user sync as a custom connector of the official `metadata ingest`.

The plan and the writes are the portal's own code, without its state database. Changes are patched
one user at a time (`update_mode: patch`); the source counts what it did and yields only failures,
so that the sink never PUTs. With `update_mode: put` it yields the record of the older connector,
filled from the stored user so that nothing is lost, for servers where that works.

Options (`connectionOptions`, all text): graphql_endpoint, graphql_token, update_mode (patch|put),
min_users (a shorter directory answer stops the run), update_display_name and update_domains
(true|false).
"""

import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from metadata.generated.schema.api.teams.createUser import CreateUserRequest
from metadata.generated.schema.entity.services.connections.database.customDatabaseConnection import (  # noqa: E501
    CustomDatabaseConnection,
)
from metadata.generated.schema.entity.services.ingestionPipelines.status import StackTraceError
from metadata.generated.schema.metadataIngestion.workflow import Source as WorkflowSource
from metadata.ingestion.api.models import Either
from metadata.ingestion.api.step import WorkflowFatalError
from metadata.ingestion.api.steps import InvalidSourceException, Source
from metadata.ingestion.models.user import OMetaUserProfile

from backend.core.errors import PortalError
from backend.core.log import get_logger
from backend.integrations.directory.client import DirectoryClient
from backend.integrations.openmetadata import wire
from backend.integrations.openmetadata.gateway import OpenMetadataGateway
from backend.integrations.openmetadata.schemas import StoredUser
from backend.user_sync.documents import status
from backend.user_sync.matching import PlanRow, match
from backend.user_sync.schemas import Change, Field, Outcome
from backend.user_sync.writing import Writer, what_moved

log = get_logger(__name__)

_KNOWN = (
    "graphql_endpoint",
    "graphql_token",
    "update_mode",
    "min_users",
    "update_display_name",
    "update_domains",
)
#: What a PUT would clear when the body leaves it out.
_PUT_FIELDS = "domains,roles,teams,personas,profile,defaultPersona"


@dataclass(frozen=True)
class Options:
    """The connector's options, checked. Raises ValueError with what to write instead."""

    graphql_endpoint: str
    graphql_token: str = ""
    update_mode: str = "patch"
    min_users: int = 1
    update_display_name: bool = True
    update_domains: bool = True

    @classmethod
    def of(cls, given: dict[str, str]) -> "Options":
        unknown = sorted(set(given) - set(_KNOWN))
        if unknown:
            raise ValueError(
                f"connectionOptions: unknown {', '.join(unknown)}; known are {', '.join(_KNOWN)}"
            )
        if not given.get("graphql_endpoint"):
            raise ValueError("connectionOptions: graphql_endpoint is needed")
        mode = given.get("update_mode", "patch")
        if mode not in ("patch", "put"):
            raise ValueError(f"connectionOptions: update_mode is patch or put, not {mode!r}")
        least = given.get("min_users", "1")
        if not least.isdecimal():
            raise ValueError(f"connectionOptions: min_users is a number, not {least!r}")
        return cls(
            given["graphql_endpoint"],
            given.get("graphql_token", ""),
            mode,
            int(least),
            _flag(given, "update_display_name"),
            _flag(given, "update_domains"),
        )


def _flag(given: dict[str, str], name: str) -> bool:
    value = given.get(name, "true").lower()
    if value not in ("true", "false"):
        raise ValueError(f'connectionOptions: {name} is "true" or "false", not {value!r}')
    return value == "true"


class UserUpdaterSource(Source):
    """Reads the directory, compares, and changes what differs.

    `prepare` reads both sides, so a directory or a server that is down ends the start with one
    sentence and exit status 1, and nothing is changed.
    """

    def __init__(self, options: Options, host_port: str, token: str) -> None:
        super().__init__()
        self._options = options
        self._gateway = OpenMetadataGateway(host_port, token)
        self._rows: list[PlanRow] = []
        self._writer: Writer | None = None

    @classmethod
    def create(
        cls, config_dict: dict[str, Any], metadata: Any, pipeline_name: str | None = None
    ) -> "UserUpdaterSource":
        """What the workflow calls; `metadata` is its client, asked only for address and token."""
        config = WorkflowSource.model_validate(config_dict)
        connection = config.serviceConnection and config.serviceConnection.root.config
        if not isinstance(connection, CustomDatabaseConnection):
            raise InvalidSourceException(
                "serviceConnection.config.type must be CustomDatabase "
                f"(pipeline {pipeline_name or 'without name'})"
            )
        given = dict(connection.connectionOptions.root) if connection.connectionOptions else {}
        server = metadata.config
        token = server.securityConfig.jwtToken.get_secret_value() if server.securityConfig else ""
        return cls(Options.of(given), str(server.hostPort), token)

    def prepare(self) -> None:
        """Fetch and compare. Raises PortalError with one sentence."""
        self.test_connection()
        items = DirectoryClient(self._options.graphql_endpoint, self._options.graphql_token).users()
        if len(items) < self._options.min_users:
            raise PortalError(
                f"The directory named {len(items)} people, fewer than min_users "
                f"({self._options.min_users}): nothing was changed."
            )
        users = (user for page in self._gateway.users() for user in page.users)
        found = match(items, users, self._gateway.domains())
        self._rows = [row for row in map(self._narrowed, found) if _wanted(row)]
        self._log_kinds(found)

    def test_connection(self) -> None:
        """One authenticated read."""
        who = self._gateway.probe()
        for warning in who.warnings:
            log.warning(warning)
        self._writer = Writer(self._gateway, principal=who.principal, is_bot=who.is_bot)

    def close(self) -> None:
        self._gateway.close()

    def _iter(self) -> Iterator[Either]:
        failures = 0
        work = self._put if self._options.update_mode == "put" else self._patch
        for row in self._rows:
            for answer in work(row):
                failures += answer.left is not None
                yield answer
        if failures and failures / max(1, len(self._rows)) < 0.00005:
            # Above 20,000 records one failure rounds to 100 % success and the exit status is 0.
            raise WorkflowFatalError(f"{failures} users could not be changed")

    def _patch(self, row: PlanRow) -> Iterable[Either]:
        assert self._writer is not None  # noqa: S101 - prepare has run
        change = _change(row)
        outcome = self._writer.write(change)
        if outcome.state == "applied":
            self.status.scanned(f"{row.email} ({', '.join(outcome.stored) or 'was so already'})")
            return
        yield _failure(row.email, outcome)

    def _put(self, row: PlanRow) -> Iterable[Either]:
        """The older connector's record, with everything a PUT would otherwise clear."""
        change = _change(row)
        try:
            # One read for the comparison and the record: between two, somebody could edit.
            stored = self._gateway.raw_user(change.user_id, _PUT_FIELDS)
            now = wire.stored_user(stored)
            if now is None or now.deleted:
                yield _failure(row.email, Outcome("conflict", "the user is gone"))
                return
            moved = what_moved(change, now)
            if moved:
                yield _failure(row.email, Outcome("conflict", moved))
                return
            yield Either(right=OMetaUserProfile(user=_request(stored, now, change)))
        except Exception as exc:  # one bad user must not end the run
            yield Either(
                left=StackTraceError(
                    name=row.email, error=str(exc), stackTrace=traceback.format_exc()
                )
            )

    def _narrowed(self, row: PlanRow) -> PlanRow:
        row.sets_name = row.sets_name and self._options.update_display_name
        row.sets_domains = row.sets_domains and self._options.update_domains
        return row

    def _log_kinds(self, rows: list[PlanRow]) -> None:
        counts: dict[str, int] = {}
        for row in rows:
            counts[row.kind] = counts.get(row.kind, 0) + 1
            if row.kind in ("unknown_domain", "invalid", "duplicate"):
                # In the summary's warnings by position, without personal values in the log.
                self.status.warning(f"directory entry {row.position + 1}", row.reason)
        log.info("Compared.", changes=len(self._rows), **counts)


def _wanted(row: PlanRow) -> bool:
    return row.user is not None and (row.sets_name or row.sets_domains)


def _change(row: PlanRow) -> Change:
    user = row.user
    assert isinstance(user, StoredUser)  # noqa: S101 - _wanted rows have one
    fields: list[Field] = []
    if row.sets_name:
        fields.append("displayName")
    if row.sets_domains:
        fields.append("domains")
    return Change(
        user_id=user.id,
        email=row.email,
        fields=tuple(fields),
        old_name=user.display_name,
        new_name=row.new_name if row.sets_name else user.display_name,
        old_domains=user.domains,
        new_domains=row.new_domains,
        version=user.version,
        updated_at=user.updated_at,
    )


def _failure(email: str, outcome: Outcome) -> Either:
    error = f"{status(outcome.state)}: {outcome.reason}"
    return Either(left=StackTraceError(name=email, error=error, stackTrace=""))


def _request(stored: dict[str, Any], now: StoredUser, change: Change) -> CreateUserRequest:
    """Every field of the stored user that a PUT replaces, with the change put in.

    What is not to be changed is taken as it is now: the plan's value may be older than an edit.
    """
    name = change.new_name if "displayName" in change.fields else now.display_name
    domains = change.new_domains if "domains" in change.fields else now.domains
    persona = stored.get("defaultPersona") or {}
    body: dict[str, Any] = {
        "name": stored["name"],
        "email": stored["email"],
        "displayName": name or None,
        "description": stored.get("description"),
        "domains": [ref.fqn for ref in domains],
        "roles": [ref["id"] for ref in stored.get("roles") or ()],
        "teams": [ref["id"] for ref in stored.get("teams") or ()],
        "personas": stored.get("personas") or None,
        "defaultPersona": persona or None,
        "profile": stored.get("profile"),
        "timezone": stored.get("timezone"),
        "isAdmin": stored.get("isAdmin"),
        "isBot": stored.get("isBot"),
    }
    return CreateUserRequest(**{key: value for key, value in body.items() if value is not None})
