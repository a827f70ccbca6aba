"""What alembic runs to take the steps: on the connection that ``upgrade`` was given."""

from alembic import context

from refsync.pending_queue.store import schema

context.configure(connection=context.config.attributes["connection"], target_metadata=schema.metadata)
context.run_migrations()
