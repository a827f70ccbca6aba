"""Whether the records bear out that a change landed: a message, which anyone can write, only says where to look."""

from __future__ import annotations

from collections.abc import Iterable

from refsync.clone.repository import Repository
from refsync.documents.json_document import Record
from refsync.documents.merge import Stamps, same_record, unstamped
from refsync.pending_queue.models import PendingChangeRecord
from refsync.reference.versions import Versions
from refsync.reference.view import at_commit
from refsync.sync.reference import ReferenceRepository


def bears_out(before: Record | None, asked: Record | None, now: Record | None, stamps: Stamps) -> bool:
    """Whether something of what was asked for is there now, and was not before; ``None`` is no record.

    >>> bears_out({"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 2, "b": 1}, {})
    True
    >>> bears_out({"a": 1}, {"a": 2}, {"a": 3}, {})
    False
    """
    if asked is None or now is None:
        return asked is now
    if same_record(asked, now, stamps=stamps):
        return True
    was, wanted, found = (unstamped(each or {}, stamps) for each in (before, asked, now))
    changed = [key for key in {*was, *wanted} if was.get(key) != wanted.get(key)]
    return any(found.get(key) == wanted.get(key) for key in changed)


def all_are_there(
    clone: Repository,
    reference: ReferenceRepository,
    versions: Versions,
    changes: Iterable[PendingChangeRecord],
    before: str,
    commit: str,
) -> bool:
    """Whether the records of a commit bear out each of the changes, against those of another one before it."""
    views = [at_commit(clone, each, versions) for each in (before, commit)]
    for change in changes:
        was, now = (reference.record(view, change.category, change.model_name) for view in views)
        if not bears_out(was, change.payload, now, reference.stamps):
            return False
    return True
