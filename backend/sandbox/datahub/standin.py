"""A DataHub server in a thread: real enough for the official SDK, `datahub` and the portal."""

import secrets
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backend.sandbox.datahub.events import EventLog
from backend.sandbox.datahub.graph import GraphQl
from backend.sandbox.datahub.http import Grant, Request, Response, as_json
from backend.sandbox.datahub.ingestion import Executor
from backend.sandbox.datahub.mutations import RESOLVERS as MUTATIONS
from backend.sandbox.datahub.openapi import OpenApi
from backend.sandbox.datahub.pages import Pages
from backend.sandbox.datahub.queries import RESOLVERS as QUERIES
from backend.sandbox.datahub.restli import RestLi
from backend.sandbox.datahub.search import Index
from backend.sandbox.datahub.seeding import Seeding
from backend.sandbox.datahub.server import Doors, failing
from backend.sandbox.datahub.store import DEFAULT_ACTOR, Store
from backend.sandbox.faults import Faults
from backend.sandbox.loopback import LoopbackServer

Json = dict[str, Any]

_CLIENT_ID_URN = "urn:li:telemetry:clientId"
_CONFIG: Json = {
    "noCode": "true",
    "retention": "true",
    "statefulIngestionCapable": True,
    "patchCapable": True,
    "supportsImpactAnalysis": True,
    "timeZone": "GMT",
    "datasetUrnNameCasing": False,
    "versions": {"acryldata/datahub": {"version": "v1.7.0", "commit": "standin"}},
    "telemetry": {"enabledCli": False, "enabledIngestion": False},
    "managedIngestion": {"enabled": True, "defaultCliVersion": "1.7.0"},
    "datahub": {"serverType": "standin", "serverEnv": "core"},
    "models": {},
}


class StandIn(Seeding):
    """Listens on 127.0.0.1 from `start` to `stop`.

    port: 0 for a free one. token: what `Authorization: Bearer` must carry; made up when None.
    state_file: keeps the content over restarts. index_lag_seconds: how far search is behind
    writes (a real server: about 3). execution_seconds: how long an ingestion run takes.
    client_id: the telemetry identity; None for a server without one. config: merged over
    `/config`. tls: serve https with this context.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        token: str | None = None,
        state_file: Path | str | None = None,
        index_lag_seconds: float = 0.0,
        execution_seconds: float = 2.0,
        client_id: str | None = "8f0c1d1e-0000-4000-8000-5a4d0b0c0001",
        config: Mapping[str, Any] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.token = token or secrets.token_urlsafe(32)
        self.tokens: dict[str, Grant] = {self.token: Grant(DEFAULT_ACTOR)}
        self.store = Store(Path(state_file) if state_file else None)
        self.events = EventLog()
        self.index = Index(self.store, index_lag_seconds)
        self.faults = Faults()
        self.executor = Executor(self.store, execution_seconds)
        self.config: Json = {**_CONFIG, **(config or {})}
        self.store.listen(self.events.record)
        self.store.listen(self.index.record)
        self._seed_basics(client_id)
        self._port = port
        self._tls = tls
        self._server: LoopbackServer | None = None

    @property
    def url(self) -> str:
        """The address of the metadata service; also of the small web interface."""
        if self._server is None:
            raise RuntimeError("the stand-in has not been started")
        return self._server.base_url

    @property
    def requests(self) -> list[tuple[str, str]]:
        """(method, path) of what was asked since `start`."""
        return self._server.requests if self._server else []

    def start(self) -> Self:
        """Listen. Raises OSError when the port is taken."""
        root = {**QUERIES, **MUTATIONS, **self.executor.resolvers()}
        restli = RestLi(self.store, self.index)
        pages = Pages(self.store)
        doors = Doors(
            public={
                "config": self._show_config,
                "health": lambda _request: Response(200),
                "dataset": pages.handle,
            },
            protected={
                "aspects": restli.handle,
                "entities": restli.handle,
                "entitiesV2": restli.handle,
                "openapi": OpenApi(self.store, self.index, self.events).handle,
                "api": GraphQl(self.store, self.index, root).handle,
            },
            tokens=self.tokens,
        )
        self._server = LoopbackServer(
            doors.answer, port=self._port, faults=self.faults, failing=failing, tls=self._tls
        )
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop listening; the content stays with this object and in the state file."""
        if self._server is not None:
            self.events.close()
            self._server.close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def add_token(
        self,
        token: str,
        *,
        actor: str = DEFAULT_ACTOR,
        can_write: bool = True,
        can_tag: bool | None = None,
    ) -> None:
        """One more token. can_tag without can_write: the narrow "Edit Tags" privilege."""
        self.tokens[token] = Grant(
            actor,
            edit_entities=can_write,
            edit_tags=can_write if can_tag is None else can_tag,
            manage_ingestion=can_write,
            read_events=can_write,
        )

    def aspect(self, urn: str, name: str) -> Json | None:
        """What is stored."""
        return self.store.get(urn, name)

    def _show_config(self, _request: Request) -> Response:
        return as_json(self.config, pretty=True)

    def _seed_basics(self, client_id: str | None) -> None:
        with self.store.batch():
            if client_id and not self.store.exists(_CLIENT_ID_URN):
                value = {"clientId": client_id}
                self.store.upsert(_CLIENT_ID_URN, "telemetryClientId", value)
            if not self.store.exists(DEFAULT_ACTOR):
                info = {"active": True, "displayName": "DataHub", "fullName": "DataHub"}
                self.store.upsert(DEFAULT_ACTOR, "corpUserInfo", info)
