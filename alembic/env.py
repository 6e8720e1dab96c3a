"""How Alembic runs: on the connection that ``callboard.db.schema.migrate`` holds under its lock, or on one of its own."""

from alembic import context

from callboard.db.models import PARTITIONED, SCHEMA, metadata
from callboard.db.schema.migrate import migrating, migration_engine
from callboard.db.settings import load_settings

PARTITIONS = tuple(f"{table.name}_" for table in PARTITIONED)


def ours(name, type_, parent_names) -> bool:
    """Whether the metadata speaks of it: a partition is its parent's business."""
    if type_ == "schema":
        return name == SCHEMA
    return type_ != "table" or not name.startswith(PARTITIONS)


def run(connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=SCHEMA,
        include_schemas=True,
        include_name=ours,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=metadata, version_table_schema=SCHEMA)
    with context.begin_transaction():
        context.run_migrations()
elif given is not None:
    run(given)
else:
    with migrating(migration_engine(load_settings())) as connection:
        run(connection)
