"""POST of a signed JSON document (https://www.standardwebhooks.com, version 1)."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx

from backend.core import outside
from backend.core.errors import UpstreamError
from backend.integrations import http, network
from backend.integrations.network import Place

SYSTEM = "Webhook"
TIMEOUT = 10.0
MAX_ANSWER = 64 * 1024
PREFIX = "whsec_"


@outside.call("webhook")
def send(address: str, *, key: str, message_id: str, document: Mapping[str, Any]) -> None:
    """One delivery. key: `whsec_<base64>`. message_id: the same for each try of one message, so
    that a receiver can drop what it has. Raises UpstreamError for anything but a 2xx answer."""
    body = json.dumps(document, ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Steward Portal",
        **signature(key, message_id=message_id, timestamp=int(time.time()), body=body),
    }
    try:
        with http.client(address, timeout=TIMEOUT, follow_redirects=False) as client:
            request = client.build_request("POST", address, content=body, headers=headers)
            until = time.monotonic() + TIMEOUT
            response, _ = http.send(client, request, until=until, max_bytes=MAX_ANSWER)
    except http.AnswerTooLarge as exc:
        raise UpstreamError(SYSTEM, f"it answered with more than {exc}") from exc
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as exc:
        known = network.explain(exc, SYSTEM, Place.of(address))
        raise known or UpstreamError(SYSTEM, f"the call failed ({type(exc).__name__})") from exc
    if not response.is_success:
        raise UpstreamError(
            SYSTEM,
            f"it answered {response.status_code} {response.reason_phrase}".rstrip(),
            "Check the address, and the receiver's log.",
        )


def signature(key: str, *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that prove who sent the body, and when."""
    secret = base64.b64decode(key.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{digest}",
    }
