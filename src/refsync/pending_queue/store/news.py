"""What a server tells of its own accord: that another process has moved something in the queue (LISTEN and NOTIFY).

Who writes says so in its transaction, so that it is told when that is committed and not otherwise. It says who it is,
and is not told of its own doings.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, func
from sqlalchemy import select as select_from

_CHANNEL = "refsync"


class News(Protocol):
    """A connection that listens."""

    def wait(self, ended: int) -> bool:
        """Sleep until another process has moved something; ``False`` once a descriptor can be read.

        Raises:
            StoreUnavailableError: the server is gone, and what happens meanwhile will not be told.
        """
        ...


def announce(connection: Connection, who: str) -> None:
    """Say, if this transaction is committed, that it moved something."""
    connection.execute(select_from(func.pg_notify(_CHANNEL, who)))


class Ear:
    """A connection that listens, to all but one process."""

    def __init__(self, connection: Any, who: str) -> None:
        """Listen by a driver's connection, which the caller closes."""
        self._connection = connection
        self._who = who
        connection.autocommit = True
        connection.execute(f"LISTEN {_CHANNEL}")

    def wait(self, ended: int) -> bool:
        """As :meth:`News.wait`, but for the driver's own exceptions."""
        while True:
            readable, _, _ = select.select([self._connection.fileno(), ended], [], [])
            if ended in readable:
                return False
            if any(told.payload != self._who for told in list(self._connection.notifies(timeout=0))):
                return True


@contextmanager
def ear(engine: Engine, who: str) -> Iterator[Ear]:
    """Listen by a connection of its own, which no pool gets back."""
    pooled = engine.raw_connection()
    driver: Any = pooled.driver_connection
    pooled.detach()
    try:
        yield Ear(driver, who)
    finally:
        driver.close()
