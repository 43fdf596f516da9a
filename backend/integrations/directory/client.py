"""Asks a directory for its people, whatever kind it is."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from backend.core.errors import InvalidInput
from backend.core.trust import Trust
from backend.integrations.directory.errors import EmptyAnswer, TooLarge
from backend.integrations.directory.exchange import Exchange
from backend.integrations.directory.graphql import GraphQLSource
from backend.integrations.directory.scim import ScimSource
from backend.integrations.directory.source import Options, Page, Source, headers_of
from backend.integrations.directory.upload import UploadSource

MAX_BYTES = 256 * 1024 * 1024
MAX_USERS = 1_000_000
PROBE_BYTES = 8 * 1024 * 1024
PROBE_TIMEOUT = 10.0
SOURCES: dict[str, Callable[[Exchange, Options], Source]] = {
    "graphql": GraphQLSource,
    "scim": ScimSource,
}


@dataclass(frozen=True)
class Probe:
    """users_seen: people of the first page; None when it was too long to read within the probe's
    limit. more: whether there may be others."""

    users_seen: int | None
    more: bool
    latency_ms: float


class DirectoryClient:
    """The package's docstring says what all methods promise."""

    def __init__(
        self,
        endpoint: str,
        token: str = "",
        *,
        source: str = "graphql",
        options: Options | None = None,
        upload: bytes = b"",
        timeout: float = 60.0,
        max_bytes: int = MAX_BYTES,
        max_users: int = MAX_USERS,
        trust: Trust | None = None,
    ) -> None:
        self._trust = trust
        self._endpoint, self._token = endpoint, token
        self._source = source or "graphql"
        self.options = options or Options()
        self._upload = upload
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._max_users = max_users
        self._open(timeout, max_bytes)  # what was typed wrong is said before anything is sent

    @classmethod
    def of(
        cls,
        settings: Mapping[str, str],
        secrets: Mapping[str, str],
        *,
        timeout: float,
        upload: bytes = b"",
    ) -> Self:
        """From a connection of the kind directory."""
        headers = headers_of(settings.get("headers", ""))
        headers.update(headers_of(secrets.get("secret_headers", "")))
        options = Options(
            query=settings.get("query", ""),
            variables=settings.get("variables", ""),
            mapping=settings.get("mapping", ""),
            paging=settings.get("paging") or "auto",
            page_size=int(settings.get("page_size") or Options.page_size),
            headers=headers,
        )
        return cls(
            settings.get("endpoint", ""),
            secrets.get("token", ""),
            source=settings.get("source", ""),
            options=options,
            upload=upload,
            timeout=timeout,
            trust=Trust.of(settings),
        )

    def users(self, read: Callable[[int], None] | None = None) -> list[object]:
        """Everybody the directory lists, in its order; after each page `read` is told how many so
        far, and may raise to stop.

        Raises the errors of `errors`, UpstreamUnavailable and UpstreamTimeout: a failed, partial
        or empty answer is never returned as a short list.
        """
        found: list[object] = []
        for page in self._open(self._timeout, self._max_bytes).pages():
            found.extend(page.people)
            if len(found) > self._max_users:
                raise TooLarge(f"{self._max_users} people")
            if read is not None:
                read(len(found))
        if not found:
            raise EmptyAnswer
        return found

    def sample(self, count: int = 10) -> list[object]:
        """The first few people. Raises as `users` does."""
        found: list[object] = []
        for page in self._open(self._timeout, self._max_bytes).pages(count):
            found.extend(page.people)
            if len(found) >= count:
                break
        if not found:
            raise EmptyAnswer
        return found[:count]

    def probe(self) -> Probe:
        """A first page, read up to 8 MiB within 10 s. Raises as `users` does."""
        started = time.monotonic()
        pages = self._open(min(self._timeout, PROBE_TIMEOUT), PROBE_BYTES).pages()
        try:
            first = next(pages)
        except TooLarge:
            return Probe(None, True, (time.monotonic() - started) * 1000)
        finally:
            _close(pages)
        if not first.people and not first.more:
            raise EmptyAnswer
        return Probe(len(first.people), first.more, (time.monotonic() - started) * 1000)

    def ask_graphql(self, query: str) -> dict[str, object]:
        """The data of one query of the portal's own, such as introspection."""
        if self._source != "graphql":
            raise InvalidInput("Only a GraphQL directory can be asked for its schema.")
        source = GraphQLSource(self._exchange(self._timeout, PROBE_BYTES), Options())
        with source.exchange.session() as session:
            return source.execute(session, {"query": query})

    def _open(self, timeout: float, max_bytes: int) -> Source:
        if self._source == "upload":
            return UploadSource(self._upload, self.options)
        if self._source not in SOURCES:
            raise InvalidInput(f"A directory's source is one of {', '.join([*SOURCES, 'upload'])}.")
        return SOURCES[self._source](self._exchange(timeout, max_bytes), self.options)

    def _exchange(self, timeout: float, max_bytes: int) -> Exchange:
        return Exchange(
            self._endpoint,
            self._token,
            self.options.headers,
            timeout=timeout,
            max_bytes=max_bytes,
            trust=self._trust,
        )


def _close(pages: Iterator[Page]) -> None:
    """End the generator now, and with it its connection."""
    getattr(pages, "close", lambda: None)()
