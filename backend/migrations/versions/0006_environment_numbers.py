"""The number of a deleted environment is never given to another one.

SQLite hands the highest number out again once its row is gone; rows that outlive an environment
(user-sync plans, runs, orphans) would then belong to a new one. AUTOINCREMENT prevents it, and
SQLite takes it only in a table made anew. PostgreSQL and MariaDB never use a number twice.
"""

import sqlalchemy as sa
from alembic import op

from backend.core.database import BigId, UtcDateTime

revision = "0006_environment_numbers"
down_revision = "0005_ingestion"

_COLUMNS = (
    "id, name, name_key, default_marker, is_sandbox, is_production, version, created_at, "
    "updated_at, updated_by"
)
#: Tables without a foreign key to the environments, whose rows may name a deleted one.
_OUTLIVING = (
    "user_sync_plans",
    "user_sync_runs",
    "user_sync_ignores",
    "user_sync_settings",
    "mount_orphans",
    "mount_watches",
    "tokenization_runs",
    "tokenization_tags",
    "ingestion_runs",
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _remake(sqlite_autoincrement=True)
        _go_on_after_the_highest()


def _remake(*, sqlite_autoincrement: bool) -> None:
    if op.get_bind().execute(sa.text("PRAGMA foreign_keys")).scalar():
        # Dropping the old table would delete every connection with it.
        raise RuntimeError("foreign keys are enforced; run the migrations by their runner")
    op.create_table(
        "environments_new",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("name_key", sa.String(160), nullable=False),
        sa.Column("default_marker", sa.Integer),
        sa.Column("is_sandbox", sa.Boolean, nullable=False),
        sa.Column("is_production", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        sa.UniqueConstraint("name_key", name="uq_environments_name_key"),
        sa.UniqueConstraint("default_marker", name="uq_environments_default"),
        sqlite_autoincrement=sqlite_autoincrement,
    )
    op.execute(
        f"INSERT INTO environments_new ({_COLUMNS}) SELECT {_COLUMNS} FROM environments"  # noqa: S608  # constants
    )
    op.drop_table("environments")
    op.rename_table("environments_new", "environments")


def _go_on_after_the_highest() -> None:
    """Environments that were deleted before this migration keep their numbers, too."""
    used = " UNION ALL ".join(
        f"SELECT environment_id AS id FROM {table}"  # noqa: S608  # constants
        for table in _OUTLIVING
    )
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'environments'")
    op.execute(
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'environments', coalesce(max(id), 0) "  # noqa: S608  # constants
        f"FROM (SELECT id FROM environments UNION ALL {used})"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _remake(sqlite_autoincrement=False)
