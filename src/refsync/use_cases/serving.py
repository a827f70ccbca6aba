"""Who works on the queue now."""

from __future__ import annotations

from refsync.application import Application
from refsync.pending_queue.daemon_note import DaemonRole


def is_served(application: Application) -> bool:
    """Whether a daemon does what the queue asks for: that of the state directory, or one that shares the queue."""
    if application.leasing.is_shared:
        return any(each.is_alive and each.role is DaemonRole.worker for each in application.queue.daemons())
    return application.state.daemon() is not None


def is_passing(application: Application) -> bool:
    """Whether a pass of anybody's is running now."""
    lock = application.state.pass_lock()
    is_free = lock.acquire(timeout=0)
    lock.release()
    return not is_free


def ask_from_within(application: Application) -> bool:
    """If a pass started this process and waits for it, ask for another one behind it; whether that is so."""
    if not application.state.is_inside_pass():
        return False
    application.state.wake()
    return True
