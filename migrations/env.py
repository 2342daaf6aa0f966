"""Alembic's entry. The connection comes from `stagepost migrate` (migrations/migrate.py) or from a test."""

from alembic import context

from migrations.target import compared, metadatas

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadatas,
    include_schemas=True,
    include_object=compared,
    version_table_schema="public",
    compare_type=True,
    compare_server_default=False,
)
with context.begin_transaction():
    context.run_migrations()
