"""How a user's own migrations run: their SQL is written, as no test needs more."""

from alembic import context

from db import metadata

context.configure(dialect_name="postgresql", target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
