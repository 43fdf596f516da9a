"""A refused trigger says {status: "failed", message} beside {error, detail, reference}.

DataHub's button for ingestion knows these two words only. Whatever refuses `POST
/api/ingestion/run`, be it the limit of the rate or the shape of the body, answers in both forms.
"""

import json

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/api/ingestion/run"


class TriggerRefusals:
    """Pure ASGI middleware around everything that may refuse."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await self.app(scope, receive, send)
            return
        held: list[Message] = []
        parts: list[bytes] = []

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                held.append(message)
            elif message["type"] == "http.response.body" and held:
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    content = _in_both_forms(b"".join(parts))
                    MutableHeaders(raw=held[0]["headers"])["content-length"] = str(len(content))
                    await send(held[0])
                    await send({"type": "http.response.body", "body": content})
            else:
                await send(message)

        await self.app(scope, receive, answer)


def _in_both_forms(content: bytes) -> bytes:
    try:
        document = json.loads(content)
    except ValueError:
        return content
    if not isinstance(document, dict) or "detail" not in document:
        return content
    both = {"status": "failed", "message": document["detail"], **document}
    return json.dumps(both, ensure_ascii=False).encode()
