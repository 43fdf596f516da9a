"""Databricks's refusals as sentences: the status of its front door, the error class of Spark.

Facts: databricks-sql-connector 4.9 (`exc.py`, `thrift_backend.py`: the status and the server's own
words stand in the error's context) and Databricks's list of error classes.
"""

import contextlib
import re
from collections.abc import Iterator

from backend.core import outside
from backend.core.errors import (
    CredentialsRefused,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations import network
from backend.integrations.network import Place

SYSTEM = "Databricks"
_RENEW = "Create a new access token in Databricks and save it in this connection."
_PATH = "Copy the HTTP path from the warehouse's connection details."
_LATER = "The warehouse may be starting; try again in a minute."

#: HTTP status → what to raise, what happened, what to do.
STATUSES: dict[int, tuple[type[UpstreamError], str, str]] = {
    400: (UpstreamError, "it refused the request as invalid", _PATH),
    401: (CredentialsRefused, "it does not accept the access token", _RENEW),
    403: (CredentialsRefused, "it does not let the access token's owner in", _RENEW),
    404: (UpstreamError, "there is no warehouse at that HTTP path", _PATH),
    429: (UpstreamUnavailable, "it is limiting requests", "Wait a minute, then try again."),
    500: (UpstreamUnavailable, "it failed inside", "Try again; see Databricks's status page."),
    502: (UpstreamUnavailable, "it is not reachable behind its proxy", _LATER),
    503: (UpstreamUnavailable, "the warehouse is not available now", _LATER),
    504: (UpstreamTimeout, "the warehouse did not answer its proxy in time", _LATER),
}

#: Error classes of Spark and Delta that people meet, by what they begin with. The connector keeps
#: neither SQLSTATE nor code: the class in brackets, or before a colon, is all that is no prose.
CLASSES = {
    "TABLE_OR_VIEW_NOT_FOUND": ("there is no such table", "Check the dataset's URN."),
    "PERMISSION_DENIED": ("the token's owner lacks a right", "Grant SELECT and MODIFY on it."),
    "INSUFFICIENT_PERMISSIONS": ("the token's owner lacks a right", "Grant SELECT and MODIFY."),
    "NO_SUCH_CATALOG_EXCEPTION": ("there is no such catalog", "Check the connection's catalog."),
    "DELTA_CONCURRENT": (
        "another writer changed the table meanwhile",
        "Nothing was changed; retry.",
    ),
    "DELTA_VIOLATE_CONSTRAINT": ("a check constraint refused a token", "Leave that column out."),
    "EXCEED_LIMIT_LENGTH": ("a token is longer than its column", "Widen the column."),
    "QUERY_TIMEOUT": ("the statement took longer than its limit", "Nothing was changed."),
    "UNRESOLVED_COLUMN": ("there is no such column", "Preview the dataset again."),
}
_CLASS = re.compile(r"\[([A-Z][A-Z0-9_.]+)\]|\A([A-Z][A-Z0-9_]+): ")


@contextlib.contextmanager
def translated(place: Place = Place("the server")) -> Iterator[None]:
    """Turn the connector's errors into the portal's; values of rows never get into the text.

    place: where the calls go, for what the network did. The connector passes on some errors of its
    HTTP library while a session is opened.
    """
    from databricks.sql import exc as dbx
    from urllib3.exceptions import HTTPError

    with outside.call("databricks"):
        try:
            yield
        except (dbx.Error, OSError, HTTPError) as exc:
            raise explain(exc, place) from exc


def explain(exc: Exception, place: Place) -> UpstreamError:
    """The error to raise for what the connector raised: the network's reason, the status, the
    class of a refused statement, in this order."""
    said = network.explain(exc, SYSTEM, place)
    if said is not None:
        return said
    context = getattr(exc, "context", None) or {}
    code = context.get("http-code")
    if code is not None:
        return _of_status(int(code), str(context.get("error-message") or ""))
    from databricks.sql.exc import MaxRetryDurationError
    from urllib3.exceptions import ResponseError

    if any(isinstance(link, MaxRetryDurationError | ResponseError) for link in network.chain(exc)):
        # The connector asks once more where the server says when, and keeps no status.
        return UpstreamUnavailable(
            SYSTEM, "it asks to be asked later or elsewhere (429, 503 or a redirect)", _LATER
        )
    found = _CLASS.search(str(exc))
    if found is None and context.get("method") is not None:
        return UpstreamUnavailable(
            SYSTEM, "the connection broke", "Try again; check host name and HTTP path."
        )
    name = found[1] or found[2] if found else "no error class"
    return UpstreamError(
        SYSTEM,
        *next(
            (meaning for word, meaning in CLASSES.items() if name.startswith(word)),
            (
                f"the warehouse refused the statement ({name})",
                "Look the statement up in the warehouse's query history.",
            ),
        ),
    )


def _of_status(status: int, said: str) -> UpstreamError:
    """said: the words of the server's own header; no row is near."""
    said = said.strip(": .")[:200]
    if status == 200:
        return UpstreamError(SYSTEM, "what answers there is not a SQL warehouse", _PATH)
    known = (UpstreamError, f"it answered with HTTP {status}", "Look at Databricks's status page.")
    kind, cause, advice = STATUSES.get(status, known)
    return kind(SYSTEM, f"{cause} ({status}{': ' + said if said else ''})", advice)
