"""Indexes for what the Overview and the schedule ask of user sync and of requests."""

from alembic import op

revision = "0034_user_sync_filters"
down_revision = "0033_provider_logouts"

#: Table -> index -> columns.
NEW = {
    "user_sync_runs": {
        "ix_user_sync_runs_state": ["state", "id"],
        "ix_user_sync_runs_created": ["created_at"],
    },
    "user_sync_plans": {
        "ix_user_sync_plans_state": ["state", "created_at"],
        "ix_user_sync_plans_expires": ["expires_at"],
    },
    "changes": {
        "ix_changes_created": ["created_at"],
        "ix_changes_requester": ["requester_kind", "requester_id", "id"],
    },
}


def upgrade() -> None:
    for table, indexes in NEW.items():
        for name, columns in indexes.items():
            op.create_index(name, table, columns)


def downgrade() -> None:
    for table, indexes in NEW.items():
        for name in indexes:
            op.drop_index(name, table)
