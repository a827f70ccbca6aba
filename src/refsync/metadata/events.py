"""What listeners are told of what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from loguru import logger

from refsync.categories import CanonicalFormat, CategoryName
from refsync.metadata.models import MetadataEvent, RecordedError, RecordedOperation

Listener = Callable[[MetadataEvent], None]


def events_of(
    format: CanonicalFormat,
    category: CategoryName,
    operations: Iterable[RecordedOperation],
    errors: Iterable[RecordedError],
) -> Iterator[MetadataEvent]:
    """What listeners get of what was recorded."""
    for operation in operations:
        yield operation_event(format, category, operation)
    for error in errors:
        yield error_event(format, category, error)


def operation_event(
    format: CanonicalFormat, category: CategoryName, recorded: RecordedOperation, error: str | None = None
) -> MetadataEvent:
    """An operation, and why it failed, if it did."""
    return MetadataEvent(
        category=category,
        format=format,
        operation=recorded.operation,
        model=recorded.model,
        commit=recorded.commit,
        person=recorded.person,
        timestamp=recorded.timestamp,
        error=error,
    )


def error_event(format: CanonicalFormat, category: CategoryName, recorded: RecordedError) -> MetadataEvent:
    """An error that is about no operation."""
    return MetadataEvent(
        category=category,
        format=format,
        operation=None,
        model=None,
        commit=recorded.commit,
        person=recorded.person,
        timestamp=recorded.timestamp,
        error=recorded.error,
    )


def tell(listener: Listener, event: MetadataEvent) -> None:
    """Call a listener; what it raises is logged and harms nothing."""
    try:
        listener(event)
    except Exception as error:
        logger.opt(exception=True).error("a listener failed on {}: {}", event, error)
