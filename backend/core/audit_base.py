"""Where the audit log's chain begins: at the first row, or behind what left for archives."""

import hashlib
import hmac
from datetime import datetime

from sqlalchemy import BigInteger, String, select
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import MYSQL_TABLE, Base, ReadSession, UtcDateTime

GENESIS = "0" * 64


class AuditArchive(Base):
    """Rows that left for a file (`audit_archive`): the chain goes on behind the newest of these.
    last, last_hash: of the newest row in it, authenticated."""

    __tablename__ = "audit_archives"
    __table_args__ = (MYSQL_TABLE,)

    last: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    last_hash: Mapped[str] = mapped_column(String(64))
    mac: Mapped[str] = mapped_column(String(64))
    file: Mapped[str] = mapped_column(String(200))
    archived_at: Mapped[datetime] = mapped_column(UtcDateTime)


def archived(session: ReadSession, key: bytes) -> tuple[int, str] | None:
    """Number and hash of the newest row that an archive has, (0, GENESIS) before the first; None
    when somebody wrote that record by hand."""
    query = select(AuditArchive).order_by(AuditArchive.last.desc()).limit(1)
    found = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if found is None:
        return 0, GENESIS
    genuine = hmac.compare_digest(found.mac, archive_mac(key, found.last, found.last_hash))
    return (found.last, found.last_hash) if genuine else None


def archive_mac(key: bytes, last: int, last_hash: str) -> str:
    return hmac.new(key, f"archived:{last}:{last_hash}".encode(), hashlib.sha256).hexdigest()
