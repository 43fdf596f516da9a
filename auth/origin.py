"""Which pages may open the portal's websocket.

The browser sends cookies with a websocket whatever page opened it, so the Origin header is what
keeps other sites out. Streamlit checks it too, yet lets every page of localhost and of the
server's own addresses in, on any port: on a developer's machine any other local program.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from backend.core.settings import get_settings


def is_own(scope: Scope) -> bool:
    """True for the portal's own pages, and for programs, which send no Origin and no cookie."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None:
        return True
    public = urlsplit(get_settings().public_url).netloc
    return urlsplit(origin).netloc in {headers.get("host", ""), public} - {""}


async def refuse(receive: Receive, send: Send) -> None:
    """Answer the handshake with 403."""
    await receive()
    await send({"type": "websocket.close", "code": 1008})
