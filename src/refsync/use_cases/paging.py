"""Which part of a long list is shown."""

from __future__ import annotations

from typing import NamedTuple

from refsync.pending_queue.payloads import check_page

PAGE = 50
"""How many are shown where nobody says how many."""


class Window(NamedTuple):
    """A part of a list of ``total``; ``limit`` is ``None`` for all from the offset on."""

    total: int
    offset: int
    limit: int | None

    @property
    def shown(self) -> int:
        """How many lie in it."""
        left = max(0, self.total - self.offset)
        return left if self.limit is None else min(left, self.limit)

    @property
    def previous(self) -> int | None:
        """The offset of the part before, ``None`` where there is none."""
        return max(0, min(self.offset, self.total) - (self.limit or PAGE)) if self.offset and self.total else None

    @property
    def next(self) -> int | None:
        """The offset of the part behind, ``None`` where there is none."""
        end = self.offset + self.shown
        return end if end < self.total and self.limit else None


def window(total: int, offset: int | None, limit: int | None) -> Window:
    """The part that is asked for: the last page where nothing is.

    Raises:
        RequestError: the offset or the limit is negative.

    >>> window(120, None, None), window(120, 10, 20).next, window(120, None, 20).offset
    (Window(total=120, offset=70, limit=50), 30, 0)
    """
    check_page(offset or 0, limit)
    if offset is None and limit is None:
        return Window(total, max(0, total - PAGE), PAGE)
    return Window(total, offset or 0, PAGE if limit is None else limit)
