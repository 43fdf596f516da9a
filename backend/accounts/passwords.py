"""Passwords: what is accepted, and bcrypt hashes of any length of password.

bcrypt reads 72 bytes only, so what it hashes is HMAC-SHA256 of the password, keyed with the
row's own salt: nothing is cut off, and a digest stolen elsewhere cannot be tried against it.
"""

import base64
import hashlib
import hmac
import secrets
import unicodedata
from functools import lru_cache

import bcrypt

from backend.core.errors import InvalidInput

MIN_LENGTH = 8
ADVISED_LENGTH = 15
MAX_LENGTH = 128
#: bcrypt's cost: about a quarter of a second on one core.
ROUNDS = 12
_SCHEME = "bcrypt-sha256"


def check_new(password: str, *, name: str) -> str:
    """The password if it may be set; raises InvalidInput saying what is wrong.

    Length and a list of 30,000 passwords that everybody tries first; no rule on its characters
    (ASVS 6.2.1, 6.2.4, 6.2.5, 6.2.9).
    """
    if len(password) < MIN_LENGTH:
        raise InvalidInput(
            f"A password has at least {MIN_LENGTH} characters; {ADVISED_LENGTH} or more are better."
        )
    if len(password) > MAX_LENGTH:
        raise InvalidInput(f"A password has at most {MAX_LENGTH} characters.")
    if password.casefold() == name.casefold() or password.casefold() in _common():
        raise InvalidInput(
            "This password is among the first that anybody tries. Choose another one, for "
            "example four or five random words."
        )
    return password


def random_password() -> str:
    """A password of 20 random letters and digits in groups, easy to copy."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    groups = ["".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4)]
    return "-".join(groups)


def hash_password(password: str) -> str:
    """The text to store; takes a quarter of a second on purpose."""
    salt = bcrypt.gensalt(ROUNDS)
    return f"{_SCHEME}{bcrypt.hashpw(_prehash(password, salt), salt).decode()}"


def verify(password: str, stored: str | None) -> bool:
    """True when the password fits. Without a stored hash it takes the same time and is False."""
    known = stored if stored is not None else _nobody()
    scheme, _, rest = known.partition("$")
    salt = f"${rest}".encode()[:29]
    fits = bcrypt.checkpw(_prehash(password, salt), f"${rest}".encode())
    return fits and scheme == _SCHEME and stored is not None


def _prehash(password: str, salt: bytes) -> bytes:
    # The same characters typed on two keyboards may arrive composed or decomposed.
    text = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return base64.b64encode(hmac.new(salt, text, hashlib.sha256).digest())


@lru_cache(maxsize=1)
def _nobody() -> str:
    """A hash that belongs to nobody, so that an unknown name takes as long as a known one."""
    return hash_password(secrets.token_urlsafe(24))


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(p.casefold() for p in FREQUENCY_LISTS["passwords"] if len(p) >= MIN_LENGTH)
