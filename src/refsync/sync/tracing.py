"""Which commits of the target branch touched one model, and which gave its fields their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple

from refsync.categories import CategoryDescriptor, CategoryName
from refsync.clone.commits import tells_rename
from refsync.clone.history import LandedCommit
from refsync.clone.repository import Repository
from refsync.documents.operations import operations_between
from refsync.errors import DocumentError
from refsync.file_patterns import is_pattern
from refsync.pending_queue.queue_door import QueueDoor
from refsync.reference.kinds import records_after, records_in
from refsync.reference.versions import Version, VersionCache, Versions, versions_in_order
from refsync.review.blame import Origin, origins
from refsync.review.renames import renames
from refsync.sync.bringing import Brought, batches_behind
from refsync.sync.planned_models import Record
from refsync.sync.reference import ReferenceRepository


@dataclass(frozen=True)
class ModelCommit:
    """What one commit did to a model, and the batch that it brought; times in Unix seconds."""

    commit: str
    committed_at: int
    operation: str
    """``create``, ``update`` or ``delete``; of a record that came from another name ``rename``."""
    renamed_from: str | None
    subject: str
    author: str
    batch: int | None
    requested_by: list[str]
    approved_by: list[str]


class _Touch(NamedTuple):
    """What a commit did to the model, under the name that it had then."""

    commit: LandedCommit
    model: str
    operation: str
    renamed_from: str | None
    record: Record | None


_BEGINNING: tuple[None, Mapping[str, Record]] = (None, {})


def trace_model(
    reference: ReferenceRepository, queue: QueueDoor, category: CategoryName, model: str
) -> list[ModelCommit]:
    """The commits that created, updated, renamed or deleted a model, oldest first, by the first-parent history."""
    return [commit for commit, _ in _touches(reference, queue, category, model)]


def tell_model(
    reference: ReferenceRepository, queue: QueueDoor, category: CategoryName, model: str
) -> tuple[list[ModelCommit], list[Origin[ModelCommit]]]:
    """What :func:`trace_model` and :func:`blame_model` give, by one walk."""
    touches = _touches(reference, queue, category, model)
    return [commit for commit, _ in touches], origins(touches)


def blame_model(
    reference: ReferenceRepository, queue: QueueDoor, category: CategoryName, model: str
) -> list[Origin[ModelCommit]]:
    """Each field of a model's present record, with the commit that gave it its present value."""
    return origins(_touches(reference, queue, category, model))


def _touches(
    reference: ReferenceRepository, queue: QueueDoor, category: CategoryName, model: str
) -> list[tuple[ModelCommit, Record | None]]:
    """The commits that did something to the model, by whatever name, with its record after each."""
    path, described = reference.written_file(category), reference.catalogue[category]
    found = list[_Touch]()
    with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
        for (commit, after), (_, before) in pairwise(chain(_versions(clone, described, path), [_BEGINNING])):
            assert commit is not None  # for only what lies behind the last one has none
            for operation in operations_between(_only(model, before), _only(model, after)):
                old = _old_name(commit, category, model, before, after) if operation.kind == "create" else None
                found.append(_Touch(commit, model, operation.kind if old is None else "rename", old, after.get(model)))
                model = model if old is None else old
        brought = batches_behind(clone, queue, [each.commit for each in found], category)
        return [(_told(each, brought(each.commit, each.model)), each.record) for each in reversed(found)]


def _old_name(
    commit: LandedCommit,
    category: CategoryName,
    model: str,
    before: Mapping[str, Record],
    after: Mapping[str, Record],
) -> str | None:
    """The name that a model which came in a commit had ahead of it, where its record came from another name."""
    gone = {name: record for name, record in before.items() if name not in after}
    told = next((name for name in gone if tells_rename(commit.message, category, name, model)), None)
    come = {name: record for name, record in after.items() if name not in before}
    return told if told is not None else renames(gone, come).get(model)


def _versions(
    clone: Repository, category: CategoryDescriptor, path: str | None
) -> Iterator[tuple[LandedCommit, Mapping[str, Record]]]:
    """Every commit that brought a valid version of the category's file, with the records in it; newest first."""
    if path is not None and is_pattern(path):
        yield from reversed(list(_versions_of_many(clone, category, path)))
        return
    history = clone.first_parent_history(None, clone.tip(), [path] if path else ())
    changes = [(commit, change) for commit in reversed(history) for change in commit.files if change.path == path]
    last: Version | None = None
    blobs = (change.new_blob for _, change in changes if change.new_blob)
    with versions_in_order(blobs, clone.read_blobs, clone.read_blob) as versions:
        for commit, change in changes:
            version = versions.of(change.new_blob) if change.new_blob else None
            try:
                records = {} if version is None else records_after(version, last, category, change.path)
            except DocumentError:
                continue  # the next valid version is compared with the last valid one
            last = version or last
            yield commit, records


def _versions_of_many(
    clone: Repository, category: CategoryDescriptor, pattern: str
) -> Iterator[tuple[LandedCommit, Mapping[str, Record]]]:
    """The same where the category has many files, oldest first: all their records after each commit."""
    versions = Versions(clone.read_blob, editable=False, cache=VersionCache(0))
    files: dict[str, Mapping[str, Record]] = {}
    for commit in clone.first_parent_history(None, clone.tip(), [pattern]):
        for change in commit.files:
            with suppress(DocumentError):
                version = versions.of(change.new_blob) if change.new_blob else None
                files[change.path] = {} if version is None else records_in(version, category, change.path)
        if commit.files:
            yield commit, {name: record for each in files.values() for name, record in each.items()}


def _only(model: str, records: Mapping[str, Record]) -> Mapping[str, Record]:
    return {model: records[model]} if model in records else {}


def _told(touch: _Touch, brought: Brought | None) -> ModelCommit:
    commit = touch.commit
    return ModelCommit(
        commit=commit.sha,
        committed_at=commit.committed_at,
        operation=touch.operation,
        renamed_from=touch.renamed_from,
        subject=commit.message.split("\n", 1)[0],
        author=commit.author,
        batch=brought.batch if brought else None,
        requested_by=brought.requested_by if brought else [],
        approved_by=brought.approved_by if brought else [],
    )
