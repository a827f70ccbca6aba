"""Where the queue is kept: one database. The only part of refsync that knows SQLAlchemy, and alembic."""

from refsync.pending_queue.store.queue_store import PendingQueueStore

__all__ = ["PendingQueueStore"]
