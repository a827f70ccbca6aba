"""Which changes there are: asked often, so that it loads nothing of what else is asked of changes."""

from __future__ import annotations

from pydantic import Field

from refsync.application import Application
from refsync.pending_queue.models import Actor, PendingQueueFilter
from refsync.pending_queue.payloads import parse_status
from refsync.use_cases.changes import ChangePage, list_changes
from refsync.use_cases.questions.question import Arguments, Question, Who


class Filter(Arguments):
    """Which changes; what is left out restricts nothing."""

    statuses: list[str] = Field([])
    categories: list[str] = Field([])
    batch_id: int | None = None
    model_name: str | None = None
    requested_by: list[str] = Field([])

    def of(self, application: Application) -> PendingQueueFilter | None:
        """The queue's filter; ``None`` where nothing restricts.

        Raises:
            RequestError: there is no such status.
            UnknownCategoryError: there is no such category.
        """
        if not self.restricts:
            return None
        parse = application.config.catalogue.parse
        return PendingQueueFilter(
            statuses=set(map(parse_status, self.statuses)) or None,
            categories=set(map(parse, self.categories)) or None,
            batch_id=self.batch_id,
            model_name=self.model_name,
            requested_by=set(self.requested_by) or None,
        )

    @property
    def restricts(self) -> bool:
        """Whether anything does."""
        named = bool(self.statuses or self.categories or self.requested_by)
        return named or self.batch_id is not None or self.model_name is not None


class ListChanges(Filter):
    """A page of them: the newest where neither offset nor limit is given."""

    offset: int | None = None
    limit: int | None = None


def _list(application: Application, asked: ListChanges, actor: Actor) -> ChangePage:
    return list_changes(application, asked.of(application), offset=asked.offset, limit=asked.limit)


LIST = Question("GET", "/api/changes", Who.known, ListChanges, ChangePage, _list)
