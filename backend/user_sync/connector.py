"""`UserUpdaterSource`: user sync as a custom connector of the official `metadata ingest`.

The plan and the writes are the portal's own code, without its state database. Changes are patched
one user at a time; the source counts what it did and yields only failures, so that the sink never
PUTs. Address, token, headers and TLS are those of the workflow's own client.

Options (`connectionOptions`, all text): see `Options`; docs/user-sync.md explains each.
"""

import dataclasses
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from metadata.generated.schema.entity.services.connections.database.customDatabaseConnection import (  # noqa: E501
    CustomDatabaseConnection,
)
from metadata.generated.schema.entity.services.ingestionPipelines.status import StackTraceError
from metadata.generated.schema.metadataIngestion.workflow import Source as WorkflowSource
from metadata.ingestion.api.models import Either
from metadata.ingestion.api.step import WorkflowFatalError
from metadata.ingestion.api.steps import InvalidSourceException, Source

from backend.core.errors import PortalError, UpstreamUnavailable
from backend.core.log import get_logger
from backend.integrations.directory.client import DirectoryClient
from backend.integrations.openmetadata.gateway import OpenMetadataGateway
from backend.integrations.openmetadata.schemas import StoredUser
from backend.user_sync import fields
from backend.user_sync.answers import status
from backend.user_sync.comparing import PlanRow
from backend.user_sync.domain_names import Rules
from backend.user_sync.errors import FewMatched
from backend.user_sync.matching import match
from backend.user_sync.schemas import Settings
from backend.user_sync.writing import Change, Outcome, Writer

log = get_logger(__name__)

#: This many attempts at one user without OpenMetadata being there end the run.
ATTEMPTS = 3
DIRECTORY_TIMEOUT = 120.0
_OF_DIRECTORY = ("query", "variables", "mapping", "paging", "page_size", "headers", "source")


@dataclass(frozen=True)
class Options:
    """The connector's options, checked. Raises ValueError with what to write instead.

    max_changes_percent: as the portal's limit, of the matched users and from 100 of them up.
    """

    graphql_endpoint: str = ""
    graphql_token: str = ""
    query: str = ""
    variables: str = ""
    mapping: str = ""
    paging: str = "auto"
    page_size: str = ""
    headers: str = ""
    secret_headers: str = ""
    source: str = "graphql"
    min_users: int = 1
    max_changes_percent: float = Settings.limit_percent
    dry_run: bool = False
    attributes: str = fields.DEFAULT
    update_display_name: bool = True
    update_domains: bool = True

    @classmethod
    def of(cls, given: dict[str, str]) -> "Options":
        given = dict(given)
        _check_mode(given.pop("update_mode", "patch"))
        known = {field.name: field.type for field in dataclasses.fields(cls)}
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ValueError(
                f"connectionOptions: unknown {', '.join(unknown)}; known are {', '.join(known)}"
            )
        if not given.get("graphql_endpoint"):
            raise ValueError("connectionOptions: graphql_endpoint is needed")
        return cls(**{name: _read(name, known[name], value) for name, value in given.items()})

    def rules(self) -> Rules:
        """What is compared. Raises InvalidInput for an unknown attribute."""
        off = {"displayName": self.update_display_name, "domains": self.update_domains}
        chosen = fields.chosen(self.attributes)
        return Rules(attributes=tuple(name for name in chosen if off.get(name, True)))

    def directory(self) -> DirectoryClient:
        settings = {name: getattr(self, name) for name in _OF_DIRECTORY}
        return DirectoryClient.of(
            {"endpoint": self.graphql_endpoint, **settings},
            {"token": self.graphql_token, "secret_headers": self.secret_headers},
            timeout=DIRECTORY_TIMEOUT,
        )


def _check_mode(mode: str) -> None:
    if mode != "patch":
        raise ValueError(
            f"connectionOptions: update_mode {mode!r} is gone, because a PUT takes a user's "
            "password, roles and description away; remove the key, changes are patched"
        )


def _read(name: str, kind: Any, value: str) -> Any:
    if kind is bool:
        if value.lower() not in ("true", "false"):
            raise ValueError(f'connectionOptions: {name} is "true" or "false", not {value!r}')
        return value.lower() == "true"
    try:
        number = kind(value)
    except ValueError:
        raise ValueError(f"connectionOptions: {name} is a number, not {value!r}") from None
    if kind is not str and not number >= 0:
        raise ValueError(f"connectionOptions: {name} is a number from 0 up, not {value!r}")
    return number


def gateway_of(metadata: Any) -> OpenMetadataGateway:
    """A gateway with what the workflow's own client uses: its token (also from a file, by its
    provider), extraHeaders, and the certificates of verifySSL and sslConfig.

    Raises InvalidSourceException naming what cannot be honoured.
    """
    server, rest = metadata.config, metadata.client.config
    if str(server.apiVersion or "v1") != "v1":
        raise InvalidSourceException(
            f"openMetadataServerConfig.apiVersion {server.apiVersion!r} cannot be honoured: "
            "the connector speaks v1. Remove it"
        )
    if rest.cookies:
        raise InvalidSourceException("cookies of the client cannot be honoured; use extraHeaders")
    token = rest.auth_token()[0] if rest.auth_token and server.securityConfig else ""
    return OpenMetadataGateway(
        str(server.hostPort),
        token or "",
        headers=rest.extra_headers or {},
        verify=_verify(rest.verify, rest.cert or _certificate(server.sslConfig)),
        texts=tuple(fields.TEXTS),
    )


def _certificate(config: Any) -> tuple[str, str] | None:
    """The client's certificate and key that sslConfig names; the official client leaves them out.

    Raises InvalidSourceException for one without the other.
    """
    given = getattr(config, "root", config)
    files = [getattr(given, name, None) for name in ("sslCertificate", "sslKey")]
    certificate, key = (file.get_secret_value() if file else "" for file in files)
    if bool(certificate) != bool(key):
        raise InvalidSourceException("sslConfig needs both sslCertificate and sslKey, or neither")
    return (certificate, key) if certificate else None


def _verify(verify: bool | str | None, cert: str | tuple[str, str] | None) -> bool | ssl.SSLContext:
    """What requests understands (False, a bundle's path, a client certificate), for httpx."""
    if verify is False and not cert:
        return False
    if not isinstance(verify, str) and not cert:
        return True
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is False:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if cert:
        files = (cert,) if isinstance(cert, str) else cert
        context.load_cert_chain(*files)
    return context


class UserUpdaterSource(Source):
    """Reads the directory, compares, and changes what differs.

    `prepare` reads both sides, so a directory or a server that is down ends the start with one
    sentence and exit status 1, and nothing is changed.
    """

    def __init__(self, options: Options, gateway: OpenMetadataGateway) -> None:
        super().__init__()
        self._options = options
        self._gateway = gateway
        self._rows: list[PlanRow] = []
        self._writer: Writer | None = None

    @classmethod
    def create(
        cls, config_dict: dict[str, Any], metadata: Any, pipeline_name: str | None = None
    ) -> "UserUpdaterSource":
        """What the workflow calls; `metadata` is its client, asked only how it connects."""
        config = WorkflowSource.model_validate(config_dict)
        connection = config.serviceConnection and config.serviceConnection.root.config
        if not isinstance(connection, CustomDatabaseConnection):
            raise InvalidSourceException(
                "serviceConnection.config.type must be CustomDatabase "
                f"(pipeline {pipeline_name or 'without name'})"
            )
        given = dict(connection.connectionOptions.root) if connection.connectionOptions else {}
        return cls(Options.of(given), gateway_of(metadata))

    def prepare(self) -> None:
        """Fetch and compare. Raises PortalError with one sentence."""
        self.test_connection()
        items = self._options.directory().users()
        if len(items) < self._options.min_users:
            raise PortalError(
                f"The directory named {len(items)} people, fewer than min_users "
                f"({self._options.min_users}): nothing was changed."
            )
        users = (user for page in self._gateway.users() for user in page.users)
        found = match(items, users, self._gateway.domains(), rules=self._options.rules())
        self._rows = [row for row in found if row.applicable]
        self._log_kinds(found)
        self._check_extent(found)

    def _check_extent(self, found: list[PlanRow]) -> None:
        """The portal's own limits. Raises PortalError before anything is changed."""
        matched = sum(row.user is not None for row in found)
        if not matched:
            raise FewMatched(0, len(found), None, 0.0)
        limit = replace(Settings(), limit_percent=self._options.max_changes_percent)
        if limit.exceeded_by(len(self._rows), matched):
            raise PortalError(
                f"This would change {len(self._rows)} of {matched} users, more than "
                f"max_changes_percent ({limit.limit_percent:g}): nothing was changed."
            )

    def test_connection(self) -> None:
        """One authenticated read."""
        who = self._gateway.probe()
        for warning in (*who.expiring, *who.warnings):
            log.warning(warning)
        self._writer = Writer(self._gateway, principal=who.principal, is_bot=who.is_bot)

    def close(self) -> None:
        self._gateway.close()

    def _iter(self) -> Iterator[Either]:
        failures = 0
        for number, row in enumerate(self._rows, 1):
            if self._options.dry_run:
                self.status.filter(row.email, f"would change {', '.join(row.changes)}")
                continue
            outcome = self._written(_change(row))
            if outcome.state == "applied":
                self.status.scanned(
                    f"{row.email} ({', '.join(outcome.stored) or 'was so already'})"
                )
                continue
            failures += 1
            yield _failure(row.email, outcome)
            if outcome.stops or outcome.away:
                left = len(self._rows) - number
                raise WorkflowFatalError(f"{outcome.reason} {left} users were not tried.")
        if failures and failures / max(1, len(self._rows)) < 0.00005:
            # Above 20,000 records one failure rounds to 100 % success and the exit status is 0.
            raise WorkflowFatalError(f"{failures} users could not be changed")

    def _written(self, change: Change) -> Outcome:
        """As the portal's own runs do: while the server is away the user is looked at again."""
        assert self._writer is not None  # noqa: S101 - prepare has run
        outcome = self._writer.write(change)
        for attempt in range(1, ATTEMPTS):
            if not outcome.away:
                break
            self._gateway.back_off(attempt, UpstreamUnavailable("OpenMetadata", outcome.reason))
            outcome = self._writer.settle(change)
        return outcome

    def _log_kinds(self, rows: list[PlanRow]) -> None:
        counts: dict[str, int] = {}
        for row in rows:
            counts[row.kind] = counts.get(row.kind, 0) + 1
            if row.kind in ("unknown_domain", "invalid", "duplicate"):
                # In the summary's warnings by position, without personal values in the log.
                self.status.warning(f"directory entry {row.position + 1}", row.reason)
        log.info("Compared.", changes=len(self._rows), **counts)


def _change(row: PlanRow) -> Change:
    user = row.user
    assert isinstance(user, StoredUser)  # noqa: S101 - rows with changes have one
    return Change(user.id, row.email, row.changes, user.version, user.updated_at)


def _failure(email: str, outcome: Outcome) -> Either:
    error = f"{status(outcome.state)}: {outcome.reason}"
    return Either(left=StackTraceError(name=email, error=error, stackTrace=""))
