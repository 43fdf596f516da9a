"""Indexes for two filters of a list together: what few rows have both is found in one of them."""

from alembic import op

revision = "0032_pairs_of_filters"
down_revision = "0031_test_ends"

#: Table -> index -> columns.
NEW = {
    "audit_events": {
        "ix_audit_events_actor_outcome": ["actor_name", "outcome", "number"],
        "ix_audit_events_action_outcome": ["action", "outcome", "number"],
        "ix_audit_events_actor_action": ["actor_name", "action", "number"],
    },
    "jobs": {
        "ix_jobs_kind_state": ["kind", "state", "id"],
        "ix_jobs_actor_state": ["actor_name", "state", "id"],
        "ix_jobs_actor_kind": ["actor_name", "kind", "id"],
    },
    "ingestion_runs": {
        "ix_ingestion_runs_environment_status": ["environment_name", "status", "id"],
        "ix_ingestion_runs_actor_status": ["actor_name", "status", "id"],
        "ix_ingestion_runs_actor_environment": ["actor_name", "environment_name", "id"],
    },
    "tokenization_runs": {
        "ix_tokenization_runs_environment_state": ["environment", "state", "id"],
        "ix_tokenization_runs_environment_trigger": ["environment", "trigger_kind", "id"],
        "ix_tokenization_runs_state_trigger": ["state", "trigger_kind", "id"],
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
