"""Reads a JWT's expiry locally; nothing here verifies or logs a token."""

from datetime import UTC, datetime

import jwt


def expiry(token: str) -> datetime | None:
    """When the token ends; None when it is no JWT or never ends."""
    try:
        # Only read: whether the token is any good is for its server to say.
        claims = jwt.decode(token, options={"verify_signature": False})
        ends = claims.get("exp")
        return None if ends is None else datetime.fromtimestamp(float(ends), UTC)
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, OSError, RecursionError):
        return None
