"""Random tokens and the hashes that are stored of them."""

import hashlib
import secrets

#: 256 bits from the operating system's generator (ASVS 7.2.3 asks for 128).
TOKEN_BYTES = 32


def new_token() -> str:
    """A fresh URL-safe token of 43 characters."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hashed(raw: str) -> str:
    """SHA-256 as hex. The tokens are 256-bit random, so a slow hash would add nothing."""
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()
