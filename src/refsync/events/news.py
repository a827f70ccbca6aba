"""What of all that a transaction did is news, and for whom; pure.

The moves of one transaction that say the same are one piece of news: a batch of five hundred changes is not told five
hundred times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict

from refsync.categories import CategoryName
from refsync.deferred import Deferred
from refsync.dumping import dump
from refsync.events.kinds import EventKind
from refsync.pending_queue import holds
from refsync.pending_queue.events import BatchMoved, BatchReviewable, ChangesMoved, Event, ForeignCommit, PassFailing
from refsync.pending_queue.models import Batch, BatchState, PendingChangeRecord, PendingChangeStatus
from refsync.plain_text import cut

MOST_CHANGES = 20
"""So many are told one by one; the rest is counted."""
_MOST_FIELDS = 3
_MOST_TEXT = 500
_MOST_VALUE = 200

RepositoryOf = Callable[[CategoryName], str | None]
MembersOf = Callable[[int], Iterable[PendingChangeRecord]]
"""The changes of a batch that are on their way."""

_S = PendingChangeStatus
_MOVES: Mapping[tuple[PendingChangeStatus | None, PendingChangeStatus | None], EventKind] = {
    (None, _S.PENDING): EventKind.submitted,
    (_S.PENDING, _S.APPROVED): EventKind.approved,
    **{(status, _S.REJECTED): EventKind.rejected for status in _S if status is not _S.REJECTED},
}


class ToldField(Deferred):
    """A field that differs: what was there and what is, each ``None`` where it was or is not there.

    A value that is long is the beginning of its JSON text.
    """

    model_config = ConfigDict(frozen=True)

    field_path: str
    old_value: Any
    new_value: Any
    change_type: str


class ToldChange(Deferred):
    """What happened to a model; ``change`` is the id of who asked for it, ``None`` in a commit of others.

    ``fields`` are the first that differ, of ``field_count``.
    """

    model_config = ConfigDict(frozen=True)

    change: int | None = None
    category: str
    model: str
    operation: str
    by: str | None = None
    approved_by: str | None = None
    fields: tuple[ToldField, ...] = ()
    field_count: int = 0

    def with_fields(self, fields: Sequence[Mapping[str, Any]]) -> ToldChange:
        """The same with what differs, the first of it shown."""
        shown = tuple(
            ToldField(
                field_path=cut(each["field_path"], _MOST_VALUE),
                old_value=_bounded(each["old_value"]),
                new_value=_bounded(each["new_value"]),
                change_type=each["change_type"],
            )
            for each in fields[:_MOST_FIELDS]
        )
        return self.model_copy(update={"fields": shown, "field_count": len(fields)})


class News(Deferred):
    """One thing that happened; what it is not about is ``None``.

    ``changes`` are the first of ``change_count``, ``link`` is where to look at it, ``undoes`` names batches.
    """

    model_config = ConfigDict(frozen=True)

    event: EventKind
    repository: str | None
    by: str | None = None
    batch: int | None = None
    title: str | None = None
    reason: str | None = None
    branch: str | None = None
    commit: str | None = None
    link: str | None = None
    undoes: tuple[int, ...] = ()
    changes: tuple[ToldChange, ...] = ()
    change_count: int = 0


@dataclass(frozen=True)
class Subscription:
    """What somebody wants to be told: of which events, repositories and categories; ``None`` does not restrict."""

    events: frozenset[EventKind]
    repositories: frozenset[str] | None = None
    categories: frozenset[str] | None = None

    def narrowed(self, news: News) -> News | None:
        """The part of the news that is wanted; ``None`` where none is."""
        event = news.event
        if event is EventKind.reverted and event not in self.events:
            event = EventKind.landed
        if event not in self.events or (self.repositories is not None and news.repository not in self.repositories):
            return None
        changes = news.changes
        if self.categories is not None and changes:
            changes = tuple(each for each in changes if each.category in self.categories)
            if not changes:
                return None
        return news.model_copy(update={"event": event, "changes": changes[:MOST_CHANGES], "change_count": len(changes)})


def news_of(events: Sequence[Event], repository_of: RepositoryOf, members_of: MembersOf) -> list[News]:
    """The news in what a transaction did, in order, with all changes in each.

    Args:
        events: what it did.
        repository_of: name of the repository that holds a category.
        members_of: asked for the changes of batches that were not moved with them.
    """
    return [
        *_of_changes([each for each in events if isinstance(each, ChangesMoved)], repository_of),
        *(each for event in events for each in _of_others(event, events, members_of)),
    ]


def _of_changes(moves: Iterable[ChangesMoved], repository_of: RepositoryOf) -> Iterator[News]:
    """One piece of news for all that one person did to changes of a repository, for one reason."""
    together: dict[tuple[Any, ...], list[PendingChangeRecord]] = {}
    for each in moves:
        if kind := _MOVES.get((each.event.from_status, each.event.to_status)):
            by, reason = each.event.username, each.event.why if kind is EventKind.rejected else None
            for change in each.changes:
                key = (kind, repository_of(change.category), by, change.batch_id, change.batch_title, reason)
                together.setdefault(key, []).append(change)
    for (kind, repository, by, batch, title, reason), changes in together.items():
        yield News(
            event=kind,
            repository=repository,
            by=by,
            batch=batch,
            title=title,
            reason=reason and cut(reason, _MOST_TEXT),
            changes=_told(changes),
        )


def _of_others(event: Event, events: Sequence[Event], members_of: MembersOf) -> Iterator[News]:
    match event:
        case BatchMoved(batch, _, is_news=True) if batch.state is BatchState.held:
            reason = holds.tell(batch.hold) if batch.hold else batch.reason
            yield _of_batch(EventKind.held, batch, members_of(batch.number), reason=reason)
        case BatchReviewable(batch):
            yield _of_batch(EventKind.proposed, batch, members_of(batch.number))
        case BatchMoved(batch, before) if batch.state is BatchState.landed and before is not BatchState.landed:
            applied = list(_landed_in(batch, events))
            undoes = tuple(sorted({each.reverts for each in applied if each.reverts is not None}))
            yield _of_batch(EventKind.reverted if undoes else EventKind.landed, batch, applied, undoes=undoes)
        case ForeignCommit(repository, commit, author, subject, models):
            yield News(
                event=EventKind.foreign_commit,
                repository=repository,
                by=author,
                commit=commit,
                title=cut(subject, _MOST_TEXT),
                changes=tuple(
                    ToldChange(category=each.category, model=each.model, operation=each.operation).with_fields(
                        each.fields
                    )
                    for each in models
                ),
            )
        case PassFailing(repository, problem):
            yield News(event=EventKind.pass_failing, repository=repository, reason=cut(problem, _MOST_TEXT))


def _landed_in(batch: Batch, events: Iterable[Event]) -> Iterator[PendingChangeRecord]:
    for each in events:
        if isinstance(each, ChangesMoved) and each.event.to_status is _S.APPLIED:
            yield from (change for change in each.changes if change.batch_id == batch.number)


def _of_batch(kind: EventKind, batch: Batch, changes: Iterable[PendingChangeRecord], **more: Any) -> News:
    proposal = batch.proposal
    return News(
        event=kind,
        repository=batch.repository,
        batch=batch.number,
        title=batch.title,
        branch=proposal.branch if proposal else None,
        commit=batch.commit if batch.state is BatchState.landed else None,
        link=proposal.url if proposal else None,
        changes=_told(changes),
        **more,
    )


def _told(changes: Iterable[PendingChangeRecord]) -> tuple[ToldChange, ...]:
    return tuple(
        ToldChange.model_construct(
            change=each.change_id,
            category=str(each.category),
            model=each.model_name,
            operation=each.operation.value,
            by=each.requested_username,
            approved_by=each.approved_username,
        )
        for each in changes
    )


def _bounded(value: Any) -> Any:
    text = dump(value)
    return value if len(text) <= _MOST_VALUE else cut(text, _MOST_VALUE)
