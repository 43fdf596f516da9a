"""TOTP (RFC 6238) and recovery codes: made, checked, used up.

A code fits one time step of 30 seconds, the one before and the one after (clocks differ), and
serves once: a step that was used, and every older one, is refused. Recovery codes stand in for a
lost app, each once; only keyed hashes of them are stored.
"""

import hashlib
import hmac
import json
import secrets
from typing import Literal

import pyotp

from backend.accounts import repository
from backend.core import clock, secret_store
from backend.core.crypto import Vault
from backend.core.database import ReadSession, WriteSession
from backend.models.accounts import SecondFactor

ISSUER = "Steward Portal"
STEP_SECONDS = 30
RECOVERY_CODES = 10
#: No letters that look alike. 12 of 31: 59 bits, behind a keyed hash and the sign-in's waits.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
Used = Literal["code", "recovery code"]


def new_factor(account_id: int) -> tuple[SecondFactor, str]:
    """A factor that is not on yet, and its secret in base32."""
    secret = pyotp.random_base32()
    vault = secret_store.get_vault()
    row = SecondFactor(
        account_id=account_id,
        ciphertext=vault.encrypt(secret, binding=_binding(account_id)),
        created_at=clock.now(),
        confirmed_at=None,
        last_step=0,
        recovery_hashes="[]",
    )
    return row, secret


def address_of(secret: str, name: str) -> str:
    """The otpauth:// address that a QR code holds."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)


def fits(row: SecondFactor, code: str) -> bool:
    """Whether it is a code of about now that nobody used; marks it as used."""
    secret = secret_store.get_vault().decrypt(row.ciphertext, binding=_binding(row.account_id))
    typed, generator = "".join(code.split()), pyotp.HOTP(secret)
    present = int(clock.now().timestamp()) // STEP_SECONDS
    for step in (present - 1, present, present + 1):
        if step > row.last_step and hmac.compare_digest(
            generator.at(step).encode(), typed.encode("utf-8", "surrogatepass")
        ):
            row.last_step = step
            return True
    return False


def use(session: WriteSession, account_id: int, code: str) -> Used | None:
    """What of the account's factor the code was, None when nothing; what fits serves no more.

    For sign-in and step-up, which hold the account's lock and count the tries.
    """
    row = repository.find_factor(session, account_id)
    if row is None:
        return None
    if fits(row, code):
        return "code"
    left = json.loads(row.recovery_hashes)
    hashed = _hashed(session, account_id, code)
    known = [each for each in left if hmac.compare_digest(each, hashed)]
    if not known:
        return None
    row.recovery_hashes = json.dumps([each for each in left if each not in known])
    session.flush()
    return "recovery code"


def rotate(session: WriteSession, vault: Vault) -> int:
    """Put the secrets under the vault's first key; how many."""
    rows = repository.lock_factors(session)
    for row in rows:
        row.ciphertext = vault.rotate(row.ciphertext, binding=_binding(row.account_id))
    return len(rows)


def new_recovery_codes(session: WriteSession, row: SecondFactor) -> list[str]:
    """Ten codes in place of those that are left; only their hashes are stored."""
    codes = ["-".join(_letters(4) for _ in range(3)) for _ in range(RECOVERY_CODES)]
    row.recovery_hashes = json.dumps([_hashed(session, row.account_id, each) for each in codes])
    session.flush()
    return codes


def _letters(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))


def _hashed(session: ReadSession, account_id: int, code: str) -> str:
    plain = "".join(letter for letter in code.casefold() if letter.isalnum())
    key = secret_store.read(session, secret_store.get_vault(), secret_store.AUDIT_KEY)
    text = f"recovery code:{account_id}:{plain}".encode("utf-8", "surrogatepass")
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def _binding(account_id: int) -> str:
    return f"account {account_id}/second factor"
