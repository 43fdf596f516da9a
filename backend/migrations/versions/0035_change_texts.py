"""What requests are searched in, in a table of its own."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, LongText

revision = "0035_change_texts"
down_revision = "0034_user_sync_filters"

_STEP = 1_000


def upgrade() -> None:
    texts = op.create_table(
        "change_texts",
        sa.Column(
            "change_id",
            BigId,
            sa.ForeignKey("changes.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("text", LongText, nullable=False),
        **MYSQL_TABLE,
    )
    columns: list[sa.ColumnClause[Any]] = [
        sa.column(name) for name in ("id", "subject", "requester_name", "action")
    ]
    rows = sa.select(*columns).select_from(sa.table("changes", *columns)).order_by(columns[0])
    last = 0
    while some := op.get_bind().execute(rows.where(columns[0] > last).limit(_STEP)).all():
        op.bulk_insert(
            texts,
            [{"change_id": row[0], "text": "\n".join(row[1:]).casefold()} for row in some],
        )
        last = some[-1][0]


def downgrade() -> None:
    op.drop_table("change_texts")
