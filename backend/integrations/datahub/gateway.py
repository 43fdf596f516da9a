"""One call to DataHub: the SDK's graph, a deadline for the whole of it, one error language."""

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from backend.core import outside
from backend.core.errors import OutcomeUnknown, UpstreamTimeout
from backend.core.log import get_logger
from backend.core.trust import DEFAULT, Trust
from backend.integrations.datahub import errors, sdk

T = TypeVar("T")
log = get_logger(__name__)


class Gateway:
    """Holds the SDK's graph and runs calls through it.

    Safe to share between threads: the graph is one `requests` session that nobody changes.
    """

    def __init__(
        self, server: str, token: str | None, timeout: float, trust: Trust | None = None
    ) -> None:
        self._trust = trust or DEFAULT
        self.server = server.strip().rstrip("/")
        self._token = (token or "").strip()
        self.timeout = timeout
        self._graph: Any = None
        self._making = threading.Lock()

    def __repr__(self) -> str:
        return f"Gateway({self.server!r})"  # never the token

    def read(self, call: Callable[[Any], T]) -> T:
        """Run `call(graph)`; a broken connection or a 502, 503, 504 is tried once more."""
        latest = time.monotonic() + self.timeout  # a call left behind must not begin again

        def attempt(graph: Any) -> T:
            try:
                return call(graph)
            except Exception as exc:
                if time.monotonic() > latest or not errors.worth_a_retry(exc):
                    raise
                log.info("datahub.read_retried", server=self.server, error=type(exc).__name__)
            # Outside the handler: the second failure must not carry the first as its context.
            return call(graph)

        return self._run(attempt, writing=False)

    def write(self, call: Callable[[Any], T]) -> T:
        """Run `call(graph)` once. Raises OutcomeUnknown when it was sent and no answer came."""
        return self._run(call, writing=True)

    def query(self, document: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The `data` of a GraphQL query."""
        return self.read(lambda graph: _execute(graph, document, variables))

    def mutate(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The `data` of a GraphQL mutation."""
        return self.write(lambda graph: _execute(graph, document, variables))

    def close(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    @outside.call("datahub")
    def _run(self, call: Callable[[Any], T], *, writing: bool) -> T:
        try:
            graph = self._connected()  # imports the SDK: not the server's time
            return _within(self.timeout, lambda: call(graph))
        except _DeadlinePassed as exc:
            raise self._too_late(writing) from exc
        except Exception as exc:
            translated = errors.translate(
                exc, server=self.server, writing=writing, secrets=(self._token,)
            )
            if translated is exc:
                raise
            raise translated from exc

    def _connected(self) -> Any:
        with self._making:
            if self._graph is None:
                if not self.server:
                    raise errors.unusable_address(self.server)
                # Checked here because the errors of `requests` about a header quote its value.
                if not self._token.isascii() or not self._token.isprintable() or " " in self._token:
                    raise errors.unusable_token()
                self._graph = sdk.graph(self.server, self._token or None, self.timeout, self._trust)
            return self._graph

    def _too_late(self, writing: bool) -> Exception:
        cause = f"no complete answer within {self.timeout:g} s"
        if writing:
            return OutcomeUnknown(
                errors.SYSTEM,
                f"the change was sent, but {cause} came",
                "It may or may not have happened: look at the entity in DataHub first.",
            )
        return UpstreamTimeout(
            errors.SYSTEM,
            cause,
            "Check the address and the firewall between; a busy server may need a longer timeout.",
        )


class _DeadlinePassed(Exception):
    pass


def _within(seconds: float, call: Callable[[], T]) -> T:
    """The result of `call`, or _DeadlinePassed.

    `requests` limits the wait for each packet, not for the answer: a server that sends one byte a
    second holds a call for ever. So the call runs in a daemon thread, which is left behind when
    the time is up; it ends when its own socket does.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as exc:
            outcome.set_exception(exc)

    # the addresses that a connection test has looked at hold in that thread too
    inside = contextvars.copy_context()
    threading.Thread(target=inside.run, args=(run,), name="datahub-call", daemon=True).start()
    wait([outcome], timeout=seconds)
    if not outcome.done():  # one of the last moment counts: the machine may have stood still
        raise _DeadlinePassed
    return outcome.result()


def _execute(graph: Any, document: str, variables: dict[str, Any] | None) -> dict[str, Any]:
    data = graph.execute_graphql(document, variables=variables, format_exception=False)
    if not isinstance(data, dict):
        raise errors.UnexpectedAnswer("a GraphQL answer without data")
    return data
