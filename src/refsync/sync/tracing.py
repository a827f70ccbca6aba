"""Which commits of the target branch touched one model, and which gave its fields their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.clone.history import LandedCommit
from refsync.clone.repository import Repository
from refsync.documents.json_document import read_records
from refsync.documents.operations import operations_between
from refsync.errors import DocumentError
from refsync.pending_queue.service import PendingQueueService
from refsync.review.blame import Origin, origins
from refsync.sync.bringing import Brought, batches_behind
from refsync.sync.plan import Record
from refsync.sync.reference import ReferenceRepository


@dataclass(frozen=True)
class ModelCommit:
    """What one commit did to a model, and the batch that it brought; times in Unix seconds."""

    commit: str
    committed_at: int
    operation: str
    subject: str
    author: str
    batch: int | None
    requested_by: list[str]
    approved_by: list[str]


def trace_model(
    reference: ReferenceRepository, queue: PendingQueueService, category: MODEL_REFERENCE_CATEGORY, model: str
) -> list[ModelCommit]:
    """The commits that created, updated or deleted a model, oldest first, by the first-parent history."""
    return [commit for commit, _ in _touches(reference, queue, category, model)]


def blame_model(
    reference: ReferenceRepository, queue: PendingQueueService, category: MODEL_REFERENCE_CATEGORY, model: str
) -> list[Origin[ModelCommit]]:
    """Each field of a model's present record, with the commit that gave it its present value."""
    return origins(_touches(reference, queue, category, model))


def _touches(
    reference: ReferenceRepository, queue: PendingQueueService, category: MODEL_REFERENCE_CATEGORY, model: str
) -> list[tuple[ModelCommit, Record | None]]:
    """The commits that did something to the model, with its record after each."""
    path, found = reference.written_file(category), list[tuple[LandedCommit, str, Record | None]]()
    before: Record | None = None
    with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
        for commit, after in _versions(clone, path, model):
            for operation in operations_between(_only(model, before), _only(model, after)):
                found.append((commit, operation.kind, after))
            before = after
        brought = batches_behind(clone, queue, [commit for commit, *_ in found], category, model)
        return [(_told(commit, kind, brought(commit)), after) for commit, kind, after in found]


def _versions(clone: Repository, path: str | None, model: str) -> Iterator[tuple[LandedCommit, Record | None]]:
    """Every commit that brought a valid version of the category's file, with the model's record in it."""
    for commit in clone.first_parent_history(None, clone.tip()):
        change = next((file for file in commit.files if file.path == path), None)
        if change is None:
            continue
        try:
            records = read_records(clone.read_blob(change.new_blob)) if change.new_blob else {}
        except DocumentError:
            continue  # the next valid version is compared with the last valid one
        yield commit, records.get(model)


def _only(model: str, record: Record | None) -> Mapping[str, Record]:
    return {} if record is None else {model: record}


def _told(commit: LandedCommit, operation: str, brought: Brought | None) -> ModelCommit:
    return ModelCommit(
        commit=commit.sha,
        committed_at=commit.committed_at,
        operation=operation,
        subject=commit.message.split("\n", 1)[0],
        author=commit.author,
        batch=brought.batch if brought else None,
        requested_by=brought.requested_by if brought else [],
        approved_by=brought.approved_by if brought else [],
    )
