"""User sync's rows hold every legal name: MySQL's and MariaDB's TEXT ends at 65,535 bytes.

Two names of 10,000 characters of four bytes each are more, in the column people search in.
PostgreSQL's and SQLite's TEXT have no such end.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007_long_texts"
down_revision = "0006_environment_numbers"

_LONG = sa.Text(1_000_000)
_COLUMNS = (
    ("user_sync_rows", "old_name", True),
    ("user_sync_rows", "new_name", True),
    ("user_sync_rows", "old_domains", False),
    ("user_sync_rows", "new_domains", False),
    ("user_sync_rows", "inherited", False),
    ("user_sync_rows", "domain_keys", False),
    ("user_sync_rows", "search", False),
    ("user_sync_ignores", "difference", False),
)


def upgrade() -> None:
    _alter(_LONG)


def downgrade() -> None:
    _alter(sa.Text())


def _alter(wanted: sa.Text) -> None:
    if op.get_bind().dialect.name not in ("mysql", "mariadb"):
        return
    for table, column, nullable in _COLUMNS:
        op.alter_column(
            table, column, type_=wanted, existing_type=sa.Text(), existing_nullable=nullable
        )
