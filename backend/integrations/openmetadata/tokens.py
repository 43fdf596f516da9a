"""Reads a JWT's expiry locally; nothing here verifies or logs a token."""

import base64
import binascii
import json
from datetime import UTC, datetime


def expiry(token: str) -> datetime | None:
    """When the token ends; None when it is no JWT or never ends."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        claims = json.loads(base64.urlsafe_b64decode(padded))
        ends = claims.get("exp") if isinstance(claims, dict) else None
        return datetime.fromtimestamp(float(ends), UTC) if ends is not None else None
    except (ValueError, TypeError, OverflowError, OSError, RecursionError, binascii.Error):
        return None
