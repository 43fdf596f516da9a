"""Alembic's environment; run through backend.migrations.runner, never by hand."""

from alembic import context

from backend import models  # noqa: F401  # fills Base.metadata
from backend.core.database import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
