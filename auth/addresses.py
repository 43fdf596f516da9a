"""Addresses of the REST API that Streamlit would refuse in its own words: answered as the API does.

Streamlit takes no path with a step `..`, a NUL or two slashes in front, because it serves files;
its answer is plain text, and who calls the API (`http://portal/` + `/api/…`) reads JSON.
"""

from http import HTTPStatus

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.path_security import is_unsafe_path_pattern

from backend.core.log import new_reference

_OURS = ("api", "trigger")
_REFUSED = (
    "This address begins with two slashes, or holds a step like .. or a NUL. "
    "/api/docs lists all addresses."
)


class Addresses:
    """Pure ASGI middleware in front of Streamlit's."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_refused(scope["path"]):
            await self.app(scope, receive, send)
            return
        document = {"error": "BadRequest", "detail": _REFUSED, "reference": new_reference()}
        await JSONResponse(document, HTTPStatus.BAD_REQUEST)(scope, receive, send)


def _is_refused(path: str) -> bool:
    bare = path.lstrip("/")
    unsafe = path.startswith("//") or (bare and is_unsafe_path_pattern(bare))
    return bool(unsafe) and bare.split("/")[0] in _OURS
