"""Digests of the audit log: what to keep on another machine, and to compare the log with later."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from backend.core import audit, clock
from backend.core.audit import AuditEvent
from backend.core.database import ReadSession
from backend.core.errors import InvalidInput

DIGEST_FORMAT = "steward-portal-audit-digest/1"
#: Rows between two entries of a digest.
DIGEST_STEP = 1_000


def digest(session: ReadSession) -> dict[str, Any]:
    """What to keep elsewhere: the hash of every thousandth row and of the last, signed."""
    key, head = audit.key_of(session), audit.head_of(session)
    count = head.count if head else 0
    found = session.execute(
        select(AuditEvent.number, AuditEvent.hash)
        .where(AuditEvent.number <= count)
        .where((AuditEvent.number % DIGEST_STEP == 0) | (AuditEvent.number == count))
        .order_by(AuditEvent.number)
    )
    rows = {str(number): row_hash for number, row_hash in found}
    document = {"format": DIGEST_FORMAT, "made_at": clock.iso(clock.now()), "rows": rows}
    return {**document, "signature": _signature(key, document)}


def kept(session: ReadSession, against: Mapping[str, Any]) -> dict[int, str]:
    """Number -> hash of the rows that a digest vouches for.

    Raises InvalidInput when it is none of this portal.
    """
    key = audit.key_of(session)
    document = {name: against.get(name) for name in ("format", "made_at", "rows")}
    rows = document["rows"]
    if document["format"] != DIGEST_FORMAT or not isinstance(rows, dict):
        raise InvalidInput("This is no digest of an audit log; make one with: audit export FILE.")
    if not hmac.compare_digest(ascii(against.get("signature"))[1:-1], _signature(key, document)):
        raise InvalidInput(
            "The digest's signature is not this portal's: the file was changed, or it belongs to "
            "another portal, or this database has another audit key than then."
        )
    return {int(number): str(row_hash) for number, row_hash in rows.items()}


def _signature(key: bytes, document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, f"digest:{text}".encode(), hashlib.sha256).hexdigest()
