"""The one place that imports DataHub's SDK, and what has to be true before it does.

Importing the SDK has side effects that a portal must not have. It writes
`~/.datahub/telemetry-config.json`, and with telemetry off it writes *off* there, for ever, for
every later use of the `datahub` command by the same person. So: telemetry is switched off for this
process by the environment variable, which is read once at import, and the SDK's folder points to a
temporary directory while its telemetry module is imported. The home directory is neither read nor
written. When something else has imported the SDK first, that has decided, and nothing is changed.

The import takes 1 to 2 s and about 120 MB, once a process: never on the way to a first page.
"""

import importlib
import os
import sys
import tempfile
import threading
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.auth import AuthBase

from backend.core.trust import Trust
from backend.integrations.datahub.errors import NotGms

_TELEMETRY = "datahub.telemetry.telemetry"
_importing = threading.Lock()


class BearerToken(AuthBase):
    """The token as an explicit auth object.

    `requests` lets an entry in ~/.netrc replace an Authorization header, but not explicit auth.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Trusting(BaseAdapter):
    """The SDK's adapter, with certificates checked by the environment's trust alone.

    `requests` lets REQUESTS_CA_BUNDLE replace what the session says, `verify=False` included.
    """

    def __init__(self, inner: Any, trust: Trust) -> None:
        super().__init__()
        self._inner, self._trust = inner, trust

    def send(self, request: requests.PreparedRequest, *given: Any, **options: Any) -> Any:
        return self._inner.send(request, *given, **{**options, "verify": self._trust.requests()})

    def close(self) -> None:
        self._inner.close()


def load() -> None:
    """Import the SDK's graph client; safe to call often and from many threads."""
    with _importing:
        if _TELEMETRY not in sys.modules:
            _import_privately()
        importlib.import_module("datahub.ingestion.graph.client")
        # The graph imports it at its first query, that is within the server's deadline.
        importlib.import_module("datahub.utilities.graphql_query_adapter")


def _import_privately() -> None:
    os.environ["DATAHUB_TELEMETRY_ENABLED"] = "false"
    config: Any = importlib.import_module("datahub.cli.config_utils")
    person = config.DATAHUB_ROOT_FOLDER
    with tempfile.TemporaryDirectory(prefix="portal-datahub-") as folder:
        config.DATAHUB_ROOT_FOLDER = folder
        try:
            importlib.import_module(_TELEMETRY)
        finally:
            config.DATAHUB_ROOT_FOLDER = person


def _check_config(response: requests.Response, **_: Any) -> None:
    """Raise what the SDK would put into words only (`DataHubRestEmitter.fetch_server_config`): the
    status that `/config` answered with, or that the answer is not the metadata service's."""
    if not (response.request.url or "").partition("?")[0].endswith("/config"):
        return
    response.raise_for_status()
    try:
        found = response.json()
    except ValueError:
        return  # the SDK raises the same
    if response.status_code == 200 and not (
        isinstance(found, dict) and found.get("noCode") == "true"
    ):
        raise NotGms


def graph(server: str, token: str | None, timeout: float, trust: Trust) -> Any:
    """A DataHubGraph that sends nothing yet.

    It does not retry: the SDK would retry POSTs too, so a slow write could happen twice. It writes
    through rest.li, because the UI's proxy (`/api/gms`) has no route for OpenAPI's PATCH.
    """
    load()
    from datahub.ingestion.graph.client import DataHubGraph
    from datahub.ingestion.graph.config import DatahubClientConfig

    made = DataHubGraph(
        DatahubClientConfig(
            server=server,
            token=token,
            # A little less than the deadline around it: a connection that never came about is
            # then told apart from an answer that never came.
            timeout_sec=timeout * 0.9,
            retry_max_times=0,
            openapi_ingestion=False,
            datahub_component="steward-portal",
        )
    )
    # A redirected POST becomes a GET, and a redirect to another host loses the token: both look
    # like other mistakes. The first redirect is an error that names the new address.
    made.session.max_redirects = 0
    made.session.hooks["response"].append(_check_config)
    made.session.mount("https://", Trusting(made.session.get_adapter("https://"), trust))
    if token:
        made.session.auth = BearerToken(token)
    return made
