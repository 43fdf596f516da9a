"""A provider that drips its answer is given up on as a whole, whichever step asks."""

import asyncio

import pytest

from backend.core.errors import UpstreamTimeout
from backend.integrations.oidc import client, errors


@pytest.mark.parametrize(
    "step",
    [
        lambda one: client.begin(one, redirect_uri="https://portal.example/oauth2callback"),
        lambda one: client.logout_claims(one, "a.b.c"),
        lambda one: client.metadata(one),
    ],
    ids=["sign-in", "logout token", "doctor"],
)
def test_the_whole_answer_has_a_deadline(step, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    async def drips(*_args: object, **_more: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(client, "_app", drips)
    monkeypatch.setattr(errors, "WHOLE_SECONDS", 0.01)
    one = client.Registration("id", "secret", "https://idp.example/", "openid")
    with pytest.raises(UpstreamTimeout, match=r"no answer within 0\.01 s"):
        asyncio.run(step(one))
