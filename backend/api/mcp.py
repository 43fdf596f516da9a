"""The MCP server over streamable HTTP at /mcp: the API token's rights, and never more than asking.

Every request stands alone: its token is looked up before its body is read, like everywhere in the
API, and no session outlives the answer. There is nothing to listen to, so GET is answered 405.
"""

import asyncio
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from backend.api.callers import caller_of
from backend.core.access import Actor
from backend.core.database import get_database

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

PATH = "/mcp"


class Mcp:
    """ASGI endpoint."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        manager = await asyncio.to_thread(_manager, caller_of(scope))
        async with manager.run():
            await manager.handle_request(scope, receive, send)


def _manager(caller: Actor) -> "StreamableHTTPSessionManager":
    """The server's libraries are loaded with the first request."""
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from backend.mcp import server

    built = server.build(get_database(), server.actor(caller, caller.role))
    return StreamableHTTPSessionManager(
        app=built._lowlevel_server, json_response=True, stateless=True
    )
