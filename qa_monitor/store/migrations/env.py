"""Run by Alembic: migrates the connection that ``qa_monitor.store.database`` hands over."""

from alembic import context

from qa_monitor.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes a table by making a new one and copying.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
