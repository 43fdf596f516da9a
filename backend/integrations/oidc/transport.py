"""Authlib's client as the portal uses it: answers have a size, and keys are not fetched at will."""

import time
from typing import Any

import httpx2
from authlib.integrations.starlette_client import StarletteOAuth2App
from authlib.integrations.starlette_client.apps import AsyncOAuth2Client

#: Of one answer, unpacked. Microsoft Graph's longest, 11,000 groups, has half of it.
MAX_ANSWER = 1024 * 1024
#: Seconds between two fetches of the keys that what strangers post brings about.
KEYS_PAUSE = 30.0
#: How the answer was packed on its way; it is unpacked when it is passed on.
_OF_THE_WAY = ("content-encoding", "content-length", "transfer-encoding")


class AnswerTooLarge(Exception):
    """More bytes than any provider says."""


class _Client(AsyncOAuth2Client):  # type: ignore[misc, unused-ignore]  # no types there
    """Reads no more of an answer than MAX_ANSWER."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """The whole answer. Raises AnswerTooLarge and httpx2's errors."""
        response = await super().send(request, **{**options, "stream": True})
        try:
            content = await _read(response)
        finally:
            await response.aclose()
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in _OF_THE_WAY
        ]
        return httpx2.Response(
            response.status_code, headers=headers, content=content, request=response.request
        )


async def _read(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER:
            raise AnswerTooLarge
    return bytes(content)


class ProviderApp(StarletteOAuth2App):  # type: ignore[misc, unused-ignore]  # no types there
    """One provider; its discovery document and keys are kept while the process lives."""

    client_cls = _Client
    _keys_asked_at = float("-inf")

    async def fetch_jwk_set(self, force: bool = False) -> Any:
        if force or "jwks" not in self.server_metadata:
            self._keys_asked_at = time.monotonic()
        return await super().fetch_jwk_set(force)

    @property
    def keys_are_new(self) -> bool:
        """Whether the keys were asked for so short ago that a stranger has to wait for others."""
        return time.monotonic() - self._keys_asked_at < KEYS_PAUSE
