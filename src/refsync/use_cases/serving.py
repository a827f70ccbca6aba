"""Who works on the queue now."""

from __future__ import annotations

from filelock import Timeout

from refsync.application import Application


def is_served(application: Application) -> bool:
    """Whether a daemon serves the state directory."""
    return application.state.daemon() is not None


def is_passing(application: Application) -> bool:
    """Whether a pass of anybody's is running now."""
    lock = application.state.pass_lock()
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def ask_from_within(application: Application) -> bool:
    """If a pass started this process and waits for it, ask for another one behind it; whether that is so."""
    if not application.state.is_inside_pass():
        return False
    application.state.wake()
    return True
