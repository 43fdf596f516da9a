"""Indexes for years of history: each filter of a list finds its newest rows in one of them."""

from alembic import op

revision = "0020_history"
down_revision = "0019_second_factor"

#: Table -> index -> columns; those of the audit log were without the row's number.
NEW = {
    "audit_events": {
        "ix_audit_events_at": ["at", "number"],
        "ix_audit_events_action": ["action", "number"],
        "ix_audit_events_actor": ["actor_name", "number"],
        "ix_audit_events_outcome": ["outcome", "number"],
    },
    "jobs": {
        "ix_jobs_actor": ["actor_name", "id"],
        "ix_jobs_created": ["created_at", "state", "kind"],
        "ix_jobs_ended": ["state", "finished_at"],
    },
    "ingestion_runs": {
        "ix_ingestion_runs_urn": ["dataset_urn", "id"],
        "ix_ingestion_runs_job": ["job_urn", "id"],
        "ix_ingestion_runs_environment": ["environment_name", "id"],
        "ix_ingestion_runs_status": ["status", "id"],
        "ix_ingestion_runs_created": ["created_at"],
    },
    "tokenization_runs": {
        "ix_tokenization_runs_environment": ["environment", "id"],
        "ix_tokenization_runs_trigger": ["trigger_kind", "id"],
        "ix_tokenization_runs_write_back": ["write_back", "write_back_attempts"],
        "ix_tokenization_runs_ended": ["state", "finished_at"],
    },
}
OLD = {
    "ix_audit_events_at": ["at"],
    "ix_audit_events_action": ["action"],
    "ix_audit_events_actor": ["actor_name"],
}


def upgrade() -> None:
    for name in OLD:
        op.drop_index(name, "audit_events")
    for table, indexes in NEW.items():
        for name, columns in indexes.items():
            op.create_index(name, table, columns)


def downgrade() -> None:
    for table, indexes in NEW.items():
        for name in indexes:
            op.drop_index(name, table)
    for name, columns in OLD.items():
        op.create_index(name, "audit_events", columns)
